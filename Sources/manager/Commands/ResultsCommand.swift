import ArgumentParser
import EventLog
import Foundation
import Projections

/// `manager results`: the results of all completions, from the journal.
struct ResultsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "results", abstract: "Show the results of completed tasks, as the journal has them.",
        discussion: """
            Examples:
              manager results --phase exp1 --csv > exp1.csv
              manager results --json | jq '.[] | .result.accuracy'
              manager results --by width --at -2h
            """)

    @Option(help: "Only results of this phase.") var phase: String?
    @Flag(help: "CSV (RFC 4180), with the columns of final_results.csv.") var csv = false
    @Flag(help: "A JSON array, one row a line.") var json = false
    @Option(help: "A table of a result's mean for each value of this config key.") var by: String?
    @Option(help: "The result of that table (default: the first accuracy, score, loss or error).") var metric: String?
    @OptionGroup var dataOptions: DataOptions
    @OptionGroup var momentOptions: MomentOptions

    func validate() throws {
        if csv && json { throw ValidationError("--csv or --json, not both") }
        if (csv || json) && (by != nil || metric != nil) {
            throw ValidationError("--by and --metric make a table, neither CSV nor JSON")
        }
    }

    func run() async throws {
        try await Terminal.ending {
            let state = try await momentOptions.state(dataOptions).state
            if let problem = state.problem(withPhase: phase) { throw VerbFailure(problem, status: 1) }
            let listing = ResultListing(journal: dataOptions.data.journal, phase: phase)
            let (csv, json, by, metric, phase, data) = (csv, json, by, metric, phase, dataOptions.data)
            try await onThread(named: "results") {
                Result {
                    let moment = Moment.position(state.position)
                    var gone = try DiscardedResults(data, state, phase: phase)
                    defer { if let gone { Terminal.complain("manager: \(gone.sentence)") } }
                    if by != nil || metric != nil {
                        return try Self.writeMeans(listing, moment, state, &gone, metric: metric, by: by)
                    }
                    if json { return try Self.writeJSON(listing, moment, state, &gone) }
                    let table = try Self.table(listing, moment, state, &gone)
                    if csv { Terminal.write(table.csv()) } else { Terminal.write(table.text()) }
                }
            }.get()
        }
    }

    private static func writeMeans(
        _ listing: ResultListing, _ moment: Moment, _ state: ManagerState, _ gone: inout DiscardedResults?,
        metric: String?, by key: String?
    ) throws {
        // Of a task that was run again the newest result counts.
        var rows: [String: ResultMeans.Row] = [:]
        try listing.forEach(upTo: moment, state) {
            gone?.note($0.row.task)
            rows[$0.row.task] = ResultMeans.Row(config: $0.row.config, result: $0.row.result)
        }
        let ordered = rows.sorted { $0.key < $1.key }.map(\.value)
        guard let means = ResultMeans(rows: ordered, metric: metric, by: key) else {
            throw VerbFailure(
                "no table can be made: \(ResultMeans.problem(with: ordered, metric: metric, by: key))", status: 1)
        }
        Terminal.write(means.lines.joined(separator: "\n") + "\n")
    }

    private static func writeJSON(
        _ listing: ResultListing, _ moment: Moment, _ state: ManagerState,
        _ gone: inout DiscardedResults?
    ) throws {
        var out: [UInt8] = [91]
        var isFirst = true
        try listing.forEach(upTo: moment, state) { entry in
            gone?.note(entry.row.task)
            if !isFirst { out.append(contentsOf: ",\n".utf8) }
            isFirst = false
            entry.appendJSON(to: &out)
            if out.count > 64 << 10 {
                Terminal.write(out)
                out.removeAll(keepingCapacity: true)
            }
        }
        Terminal.write(out + Array("]\n".utf8))
    }

    private static func table(
        _ listing: ResultListing, _ moment: Moment, _ state: ManagerState, _ gone: inout DiscardedResults?
    ) throws -> ResultTable {
        var table = ResultTable()
        try listing.forEach(upTo: moment, state) {
            gone?.note($0.row.task)
            table.add($0.row)
        }
        return table
    }
}

/// Rows with the columns that all of them need.
struct ResultTable {
    private var encoder = ResultRowEncoder(ResultColumns())
    private var rows: [ResultRow] = []

    /// Adds a row.
    mutating func add(_ row: ResultRow) {
        guard row.problem == nil else { return }  // no row of ours: it cannot be laid out
        encoder.addColumns(of: row)
        rows.append(row)
    }

    /// A header and a line a row.
    func csv() -> [UInt8] {
        var encoder = encoder
        var text: [UInt8] = []
        guard !rows.isEmpty else { return text }
        CSVText.appendRow(encoder.columns.names, to: &text)
        for row in rows {
            encoder.append(row, to: &text)
            text.append(CSVText.newline)
        }
        return text
    }

    /// An aligned table: the task, then what the results hold.
    func text() -> String {
        guard !rows.isEmpty else { return "no result yet\n" }
        var keys: [String] = []
        var known: Set<String> = []
        var cells: [[String: String]] = []
        for row in rows {
            var members: [String: String] = [:]
            do throws(JSONError) {
                for member in try StrictJSON(object: row.result).members {
                    if known.insert(member.name).inserted { keys.append(member.name) }
                    members[member.name] = StrictJSON.text(of: member.value)
                }
            } catch { members = [:] }
            cells.append(members)
        }
        var table = ListTable(
            [.init(title: "task", canShrink: true), .init(title: "attempt", isRight: true)]
                + keys.map { .init(title: $0, isRight: true, canShrink: true) })
        for (row, members) in zip(rows, cells) {
            table.add([.init(row.task), .init("\(row.attempt)")] + keys.map { .init(members[$0] ?? "") })
        }
        return table.forStandardOutput
    }
}
