import Projections

/// What a program sees of its task: the values for its arguments and its environment. Pure.
struct ProgramInputs: Sendable {
    /// The attempt.
    let task: ClaimedTask
    /// The config, read.
    let config: StrictJSON
    /// The output directory as the program shall find it.
    let outputDirectory: String
    /// Absolute path of the file with the config.
    let configFile: String
    /// Absolute path of the file that the program may write.
    let resultFile: String
    /// Absolute path of the file to which the program may write how far it is.
    let progressFile: String

    /// The longest `NAME=value` that Linux takes (MAX_ARG_STRLEN, with its NUL).
    static let maximumVariableBytes = 131_072
    /// The variable by which programs of an outbox are found again, and its value is that outbox' absolute path.
    static let markerVariable = "MANAGER_OUTBOX"

    /// The text for every key that may stand in an argument; the task's own go before the config's.
    var values: [String: String] {
        var values: [String: String] = [:]
        for member in config.members { values[member.name] = StrictJSON.text(of: member.value) }
        values["task_id"] = task.id
        values["phase"] = task.phase
        values["seed"] = StrictJSON.text(of: task.seed)
        values["attempt"] = String(task.attempt)
        values["output_dir"] = outputDirectory
        values["config_file"] = configFile
        values["result_file"] = resultFile
        return values
    }

    /// The variables to set (or, nil, to unset) over the inherited environment.
    ///
    /// The worker's come first, then the task's, then the contract's, a later one replacing an earlier one. A config
    /// too long for a variable is left out: the program has `MANAGER_CONFIG_FILE`. The manager's token is no
    /// business of the programs. The GPU is the one that the worker has locked, whatever the task says.
    func environment(
        of worker: [(name: String, value: String)], gpu: Int? = nil, marker: String
    ) -> [String: String?] {
        var variables: [String: String?] = ["MANAGER_TOKEN": nil as String?]
        for variable in worker { variables[variable.name] = variable.value }
        for variable in task.environment { variables[variable.name] = variable.value }
        let json = String(decoding: config.compact, as: UTF8.self)
        let fits = "MANAGER_CONFIG=".utf8.count + json.utf8.count + 1 <= Self.maximumVariableBytes
        variables["MANAGER_TASK_ID"] = task.id
        variables["MANAGER_PHASE"] = task.phase
        variables["MANAGER_SEED"] = StrictJSON.text(of: task.seed)
        variables["MANAGER_ATTEMPT"] = String(task.attempt)
        variables["MANAGER_OUTPUT_DIR"] = outputDirectory
        variables["MANAGER_CONFIG"] = .some(fits ? json : nil)
        variables["MANAGER_CONFIG_FILE"] = configFile
        variables["MANAGER_RESULT_FILE"] = resultFile
        variables["MANAGER_PROGRESS_FILE"] = progressFile
        variables[Self.markerVariable] = marker
        if let gpu { variables["CUDA_VISIBLE_DEVICES"] = String(gpu) }
        return variables
    }
}
