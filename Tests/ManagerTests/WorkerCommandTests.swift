import Projections
import Testing

@testable import manager

@Suite struct WorkerCommandTests {
    private func fill(_ arguments: [String], _ values: [String: String]) throws -> [String] {
        try CommandTemplate(arguments).filled(with: values, place: "task t")
    }

    @Test func `keys are replaced wherever they stand in an argument`() throws {
        #expect(
            try fill(["prog", "--width={width}", "{a}{b}", "plain"], ["width": "4", "a": "x", "b": "y"])
                == ["prog", "--width=4", "xy", "plain"])
    }

    @Test func `a value is never read as a template again`() throws {
        #expect(try fill(["p", "{a}"], ["a": "{b}", "b": "no"]) == ["p", "{b}"])
    }

    @Test func `doubled braces are braces`() throws {
        #expect(
            try fill(["p", #"{{"lr":{lr}}}"#, "{{lr}}", "}"], ["lr": "0.1"]) == ["p", #"{"lr":0.1}"#, "{lr}", "}"])
    }

    @Test func `numbers stay as given, strings lose their quotes, nested values are compact JSON`() throws {
        let config = try StrictJSON(
            object: Array(#"{"lr":1e-3,"n":"a \"b\"\u00e4","on":true,"l":[1, {"x" : null}]}"#.utf8))
        let inputs = ProgramInputs(
            task: benchTask(), config: config, outputDirectory: "out", configFile: "/c", resultFile: "/r",
            progressFile: "/o/t.1.progress")
        #expect(
            try fill(["p", "{lr}", "{n}", "{on}", "{l}", "{seed}", "{task_id}", "{attempt}"], inputs.values)
                == ["p", "1e-3", "a \"b\"ä", "true", #"[1,{"x":null}]"#, "42", "t", "1"])
    }

    @Test func `an unknown key is refused with the keys that there are`() throws {
        let error = try #require(throws: CommandTemplateError.self) {
            try CommandTemplate(["p", "--w={wdth}"]).validate(against: ["width", "seed"], place: "point 1 of phase a")
        }
        #expect(
            error.description.hasPrefix(
                "unknown key {wdth} in the argument '--w={wdth}': point 1 of phase a has seed, width"))
    }

    @Test(arguments: ["{", "a{b", "{{{"]) func `a brace that is not closed is refused`(argument: String) {
        #expect(throws: CommandTemplateError.unclosedBrace(argument: argument)) {
            try CommandTemplate(["p", argument])
        }
    }

    @Test func `no program is refused`() {
        #expect(throws: CommandTemplateError.noProgram) { try CommandTemplate([]) }
        #expect(throws: CommandTemplateError.noProgram) { try CommandTemplate([""]) }
    }

    @Test func `a NUL in a value is refused`() throws {
        #expect(throws: CommandTemplateError.containsNUL(argument: "{a}", place: "task t")) {
            try fill(["p", "{a}"], ["a": "x\0y"])
        }
    }

    @Test func `a whole sweep is checked before anything starts, each phase by its own command`() throws {
        var first = TaskSpec(phase: "a", config: Array(#"{"x":1}"#.utf8), outputDirectories: ["r"])
        let second = TaskSpec(phase: "b", config: Array(#"{"y":1}"#.utf8), outputDirectories: ["r"])
        first.command = ["own", "{x}"]
        try CommandTemplate.validate([first, second], fallback: ["other", "{y}", "{output_dir}"])
        #expect(throws: CommandTemplateError.noCommand(place: "point 2 of phase b")) {
            try CommandTemplate.validate([first, second], fallback: nil)
        }
        #expect(
            throws: CommandTemplateError.unknownKey("x", argument: "{x}", place: "point 2 of phase b", known: ["y"])
        ) { try CommandTemplate.validate([first, second], fallback: ["p", "{x}"]) }
    }

    @Test func `the contract's variables go before the task's, and the token is withheld`() throws {
        var task = benchTask()
        task.environment = [.init(name: "A", value: "1"), .init(name: "MANAGER_TASK_ID", value: "no")]
        let inputs = ProgramInputs(
            task: task, config: try StrictJSON(object: task.config), outputDirectory: "out", configFile: "/c",
            resultFile: "/r", progressFile: "/o/t.1.progress")
        let variables = inputs.environment(of: [("A", "0"), ("CUDA_VISIBLE_DEVICES", "1")], marker: "/o")
        #expect(variables["A"] == "1")
        #expect(variables["CUDA_VISIBLE_DEVICES"] == "1")
        #expect(variables["MANAGER_TASK_ID"] == "t")
        #expect(variables["MANAGER_CONFIG"] == #"{"seed":42,"width":4}"#)
        #expect(variables["MANAGER_OUTBOX"] == "/o")
        #expect(variables["MANAGER_TOKEN"] == .some(nil))
    }

    @Test func `a config too long for a variable is left to the config file`() throws {
        let config = try StrictJSON(object: Array(#"{"a":"\#(String(repeating: "x", count: 131_072))"}"#.utf8))
        let inputs = ProgramInputs(
            task: benchTask(), config: config, outputDirectory: "out", configFile: "/c", resultFile: "/r",
            progressFile: "/o/t.1.progress")
        #expect(inputs.environment(of: [], marker: "/o")["MANAGER_CONFIG"] == .some(nil))
    }
}

@Suite struct WorkerStrictJSONTests {
    @Test func `white space goes, all else stays as given`() throws {
        let text = " { \"b\" : 1.50 ,\n\"a\":[ 1 , -0 , 1E+5 , \"x y\\u0041\" ] , \"c\" : { } }\n"
        let object = try StrictJSON(object: Array(text.utf8))
        #expect(String(decoding: object.compact, as: UTF8.self) == #"{"b":1.50,"a":[1,-0,1E+5,"x y\u0041"],"c":{}}"#)
        #expect(object.members.map(\.name) == ["b", "a", "c"])
    }

    @Test(arguments: [
        "", "  ", "[]", "1", "null", "{", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1 \"b\":2}", "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":.5}", "{\"a\":1.}", "{\"a\":1e}", "{\"a\":NaN}", "{\"a\":-Infinity}", "{\"a\":tru}",
        "{\"a\":\"\u{1}\"}",
        "{\"a\":\"\\x\"}", "{\"a\":\"\\u12g4\"}", "{\"a\":\"x}", "{} {}", "{'a':1}", "{\"a\":[1,]}", "{\"a\":[1",
        "\u{FEFF}{}", #"{"a":"\ud800"}"#, #"{"a":"\udc00\ud800"}"#,
    ]) func `what is no JSON object is refused`(text: String) {
        #expect(throws: JSONError.self) { try StrictJSON(object: Array(text.utf8)) }
    }

    @Test(arguments: [#"{"a":1,"a":2}"#, #"{"a":1,"\u0061":2}"#, #"{"x":[{"a":1,"b":2,"a":3}]}"#])
    func `a key that stands twice is refused, at any depth and however it is written`(text: String) {
        #expect(throws: JSONError.self) { try StrictJSON(object: Array(text.utf8)) }
    }

    @Test func `bytes that are not UTF-8 and bottomless nesting are refused`() {
        #expect(throws: JSONError.self) {
            try StrictJSON(object: Array("{\"a\":\"".utf8) + [0xFF] + Array("\"}".utf8))
        }
        let deep = "{\"a\":" + String(repeating: "[", count: 100_000)
        #expect(throws: JSONError.self) { try StrictJSON(object: Array(deep.utf8)) }
        func nested(_ levels: Int) -> [UInt8] {
            Array(
                (#"{"a":"# + String(repeating: "[", count: levels) + String(repeating: "]", count: levels) + "}").utf8)
        }
        #expect(throws: Never.self) { try StrictJSON(object: nested(63)) }
        #expect(throws: JSONError.self) { try StrictJSON(object: nested(64)) }
    }

    @Test func `keys that look the same and are written in different bytes are two`() throws {
        let object = try StrictJSON(object: Array("{\"\u{E9}\":1,\"e\u{301}\":2}".utf8))
        #expect(object.members.count == 2)
    }

    @Test func `NaN is named with the way out`() throws {
        let fault = try #require(throws: JSONError.self) {
            try StrictJSON(object: Array(#"{"loss": NaN}"#.utf8))
        }
        #expect(fault.description == "NaN and Infinity are no JSON (write null, or leave it out) at byte 9")
    }

    @Test func `text survives quoting and reading`() throws {
        let text = "a\"\\\n\t\u{1}ä€😀/"
        let object = try StrictJSON(object: Array(#"{"a":"#.utf8) + StrictJSON.quoted(text) + Array("}".utf8))
        #expect(StrictJSON.text(of: try #require(object["a"])) == text)
        let escaped = try StrictJSON(object: Array(#"{"a":"\ud83d\ude00\/\b\f\r\t\n"}"#.utf8))
        #expect(StrictJSON.text(of: try #require(escaped["a"])) == "😀/\u{8}\u{C}\r\t\n")
    }
}
