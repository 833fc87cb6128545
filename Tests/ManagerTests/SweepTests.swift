import Projections
import Testing

@testable import manager

@Suite("Points of a sweep file")
struct SweepPointTests {
    private let example = """
        defaults: {local_epochs: 2, output_dir: "results_exp1_{dataset}", poison_type: label_flip}
        exp1_vary_width:
          combinations:
            - seed: [42, 101]
            - dataset: [mnist, cifar10]
            - width_factor: [1, 4]
        """

    @Test("the last key varies fastest")
    func order() throws {
        let found = try SweepSample.configs(example)
        #expect(found.count == 8)
        #expect(
            found[0]
                == #"{"local_epochs":2,"poison_type":"label_flip","seed":42,"dataset":"mnist","width_factor":1}"#)
        #expect(found[1].contains(#""seed":42,"dataset":"mnist","width_factor":4"#))
        #expect(found[2].contains(#""seed":42,"dataset":"cifar10","width_factor":1"#))
        #expect(found[7].contains(#""seed":101,"dataset":"cifar10","width_factor":4"#))
    }

    @Test("a point carries phase, seed, directory and the columns that a row must agree in")
    func members() throws {
        let phase = try #require(try SweepSample.sweep(example).phases.first)
        let point = phase.points[6]
        #expect(point.id == nil)
        #expect(point.phase == "exp1_vary_width")
        #expect(point.seed == Array("101".utf8))
        #expect(point.outputDirectories == ["results_exp1_cifar10"])
        #expect(point.key == ["phase", "seed", "dataset", "width_factor"])
        #expect(point.priority == 0 && point.maxRetries == 3)
    }

    @Test("phases come in file order")
    func phaseOrder() throws {
        let file = try SweepSample.sweep("b: {combinations: [{x: [1]}]}\na: {combinations: [{x: [1, 2]}]}\n")
        #expect(file.phases.map(\.name) == ["b", "a"])
        #expect(file.pointCount == 3)
    }

    @Test("a later value replaces an earlier one and keeps its place")
    func replaced() throws {
        #expect(
            try SweepSample.configs(
                """
                defaults: {a: 1, b: 2}
                p:
                  defaults: {b: 3, c: 4}
                  combinations:
                    - a: [9]
                """) == [#"{"a":9,"b":3,"c":4}"#])
    }

    @Test("a combination with several keys is a product too")
    func severalKeys() throws {
        #expect(
            try SweepSample.configs("p: {combinations: [{a: [1, 2], b: [3, 4]}]}")
                == [#"{"a":1,"b":3}"#, #"{"a":1,"b":4}"#, #"{"a":2,"b":3}"#, #"{"a":2,"b":4}"#])
    }

    @Test("without seed key a task has seed 42 and no seed in its config")
    func defaultSeed() throws {
        let points = try SweepSample.sweep("p: {combinations: [{x: [1]}]}").phases[0].points
        #expect(points[0].seed == Array("42".utf8))
        #expect(points[0].config == Array(#"{"x":1}"#.utf8))
    }

    @Test("without output_dir results go to results_{phase}")
    func defaultDirectory() throws {
        #expect(
            try SweepSample.sweep("p: {combinations: [{x: [1]}]}").phases[0].points[0].outputDirectories == [
                "results_p"
            ])
    }

    @Test("a value that stands twice in a list counts once, with a warning")
    func repeated() throws {
        let file = try SweepSample.sweep("p:\n  combinations:\n    - x: [4, 4.0, 5]\n")
        #expect(file.phases[0].points.map { String(decoding: $0.config, as: UTF8.self) } == [#"{"x":4}"#, #"{"x":5}"#])
        #expect(
            file.warnings.map(\.description) == [
                "s.yaml, line 3: p.combinations.x: 4.0 stands in the list more than once; it counts once"
            ])
    }

    @Test("of two lists of one key the last one is used, with a warning")
    func repeatedKey() throws {
        let file = try SweepSample.sweep("p:\n  combinations:\n    - x: [1, 2]\n    - y: [3]\n    - x: [4]\n")
        #expect(file.phases[0].points.map { String(decoding: $0.config, as: UTF8.self) } == [#"{"y":3,"x":4}"#])
        #expect(file.phases[0].points[0].key == ["phase", "seed", "y", "x"])
        #expect(file.warnings.map(\.line) == [5])
    }

    @Test("an output_dir among the combinations gives each point several directories")
    func severalDirectories() throws {
        let points = try SweepSample.sweep("p: {combinations: [{x: [1, 2]}, {output_dir: [a, \"b_{x}\"]}]}").phases[0]
            .points
        #expect(points.count == 2)
        #expect(points[1].outputDirectories == ["a", "b_2"])
        #expect(points[1].config == Array(#"{"x":2}"#.utf8))
        #expect(points[1].key == ["phase", "seed", "x"])
    }

    @Test("lists and mappings are values as JSON")
    func nested() throws {
        #expect(
            try SweepSample.configs(
                "defaults: {a: {b: [1, x, null], c: {}}}\np: {combinations: [{x: [[1, 2], {k: v}]}]}")
                == [
                    #"{"a":{"b":[1,"x",null],"c":{}},"x":[1,2]}"#, #"{"a":{"b":[1,"x",null],"c":{}},"x":{"k":"v"}}"#,
                ])
    }

    @Test("anchors, aliases and merge keys work")
    func aliases() throws {
        #expect(
            try SweepSample.configs(
                """
                base: &base {a: 1, b: 2}
                p:
                  defaults: {<<: *base, b: 3}
                  combinations:
                    - x: &values [1, 2]
                    - y: *values
                """
            ).last == #"{"a":1,"b":3,"x":2,"y":2}"#)
    }

    @Test("text is escaped as JSON wants it")
    func escapes() throws { #expect(try SweepSample.scalar(#""q\"\\ \t\u0001ä""#) == #"{"x":"q\"\\ \t\u0001ä"}"#) }

    @Test("a million points cost nothing until they are asked for")
    func lazy() throws {
        let values = (0..<1000).map(String.init).joined(separator: ",")
        let points = try SweepSample.sweep("p: {combinations: [{a: [\(values)]}, {b: [\(values)]}]}").phases[0].points
        #expect(points.count == 1_000_000)
        #expect(points[999_999].config == Array(#"{"a":999,"b":999}"#.utf8))
    }
}

@Suite("Scalars by the core schema of YAML 1.2")
struct SweepScalarTests {
    @Test(
        "plain scalars",
        arguments: [
            ("null", "null"), ("~", "null"), ("Null", "null"), ("true", "true"), ("FALSE", "false"), ("1", "1"),
            ("-0", "-0"), ("+5", "5"), ("007", "7"), ("-010", "-10"), ("0o17", "15"), ("0xfF", "255"), ("1e-3", "1e-3"),
            ("1E+3", "1E+3"), ("0.10", "0.10"), (".5", "0.5"), ("-.5e1", "-0.5e1"), ("5.", "5.0"), ("5.e3", "5.0e3"),
            ("00.5", "0.5"), ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("0xFFFFFFFFFFFFFFFF", "18446744073709551615"),
        ])
    func plain(text: String, json: String) throws { #expect(try SweepSample.scalar(text) == "{\"x\":\(json)}") }

    @Test(
        "plain text",
        arguments: [
            "yes", "no", "on", "0b1", "1_000", "2001-12-14", "1e", "e3", "0x", "0o8", "-0x1", "tRue", ".", "+", "1.2.3",
        ])
    func text(text: String) throws { #expect(try SweepSample.scalar(text) == "{\"x\":\"\(text)\"}") }

    @Test("an empty value is null")
    func empty() throws {
        #expect(try SweepSample.configs("p:\n  defaults: {a: }\n  combinations: [{x: [1]}]") == [#"{"a":null,"x":1}"#])
    }

    @Test("quoted scalars are text", arguments: ["'1'", "\"true\"", "'null'", "!!str 5"])
    func quoted(text: String) throws {
        let bare = text.replacing("!!str ", with: "").filter { $0 != "'" && $0 != "\"" }
        #expect(try SweepSample.scalar(text) == "{\"x\":\"\(bare)\"}")
    }

    @Test("known tags are followed", arguments: [("!!int '5'", "5"), ("!!float 5", "5"), ("!!bool 'true'", "true")])
    func tagged(text: String, json: String) throws { #expect(try SweepSample.scalar(text) == "{\"x\":\(json)}") }

    @Test(
        "what JSON cannot hold is refused",
        arguments: [
            (".inf", SweepError.Code.numberOutOfRange), ("-.INF", .numberOutOfRange), (".nan", .numberOutOfRange),
            ("0x10000000000000000", .numberOutOfRange), ("!!binary aGk=", .unknownType), ("!foo 1", .unknownType),
            ("!!int x", .badValue), ("!!set {a}", .unknownType),
        ])
    func refused(text: String, code: SweepError.Code) {
        let error = SweepSample.refusal("p:\n  combinations:\n    - x: [\(text)]\n")
        #expect(error?.code == code)
        #expect(error?.line == 3)
    }

    @Test(
        "where YAML 1.1 reads another value a warning names the line",
        arguments: [
            ("yes", "true"), ("No", "false"), ("off", "false"), ("y", "true"), ("010", "an octal number"),
            ("0o17", "text"), ("08", "text"), ("0b101", "a binary number"),
            ("1_000", "a number without the underscores"),
            ("1e-3", "text, as it wants a point before and a sign after the e"),
            ("1.5e3", "text, as it wants a point before and a sign after the e"), ("2001-12-14", "a date"),
            ("'2001-12-14' , 2001-12-14 10:30:00", "a date with a time"), ("-0x1", "a hexadecimal number"),
        ])
    func older(text: String, reading: String) throws {
        let warnings = try SweepSample.sweep("p:\n  combinations:\n    - x: [\(text)]\n").warnings
        #expect(warnings.map(\.line) == [3])
        #expect(warnings.first?.text.hasSuffix("would read \(reading)") == true)
    }

    @Test("base 60 is warned of", arguments: ["1:30", "190:20:30.15"])
    func sexagesimal(text: String) throws {
        #expect(try SweepSample.sweep("p:\n  combinations:\n    - x:\n        - \(text)\n").warnings.map(\.line) == [4])
    }

    @Test(
        "where both read the same nothing is warned of",
        arguments: [
            "1", "-7", "007", "0", "0.5", "1.5e-3", "true", "null", "~", "0x1F", "'yes'", "\"010\"", "a:b", "x_1",
            "1.0.0",
        ])
    func same(text: String) throws {
        #expect(try SweepSample.sweep("p:\n  combinations:\n    - x: [\(text)]\n").warnings == [])
    }

    @Test("only the first hundred warnings are kept, the others counted")
    func manyWarnings() throws {
        let file = try SweepSample.sweep(
            "p: {combinations: [{x: [\((1...150).map { "\($0)_0" }.joined(separator: ","))]}]}")
        #expect(file.warnings.count == 100)
        #expect(file.warningsLeftOut == 50)
    }
}

@Suite("Options of a phase")
struct SweepOptionTests {
    @Test("command, priority, retries, after and cwd are taken over")
    func options() throws {
        let task = try SweepSample.point(
            """
              command: [python3, train.py, --seed, "{seed}", "--lr={lr}", "{{x}"]
              defaults: {lr: 0.1}
              priority: -5
              max_retries: 0
              after: [a, b, a]
              cwd: code
            """)
        #expect(task.command == ["python3", "train.py", "--seed", "{seed}", "--lr={lr}", "{{x}"])
        #expect(task.priority == -5 && task.maxRetries == 0)
        #expect(task.after == ["a", "b"])
        #expect(task.workingDirectory == "code")
    }

    @Test(
        "a timeout is a number of seconds or has a unit",
        arguments: [
            ("90", 90.0), ("1.5", 1.5), ("500ms", 0.5), ("50s", 50), ("10m", 600), ("2h", 7200), ("7d", 604_800),
        ])
    func timeout(text: String, seconds: Double) throws {
        #expect(try SweepSample.point("  timeout: \(text)").timeoutSeconds == seconds)
    }

    @Test("a timeout of another form is refused", arguments: ["0", "-1", "5x", "h", "1h30m", "true", "[1]", "1e999"])
    func badTimeout(text: String) {
        #expect(SweepSample.refusal("p:\n  combinations: [{x: [1]}]\n  timeout: \(text)")?.code == .badValue)
    }

    @Test("variables of the environment are taken as written")
    func environment() throws {
        let task = try SweepSample.point("  env: {A: yes, B: 010, C: \"x y\", D: }")
        #expect(task.environment.map { "\($0.name)=\($0.value)" } == ["A=yes", "B=010", "C=x y", "D="])
    }

    @Test("key names the columns that count")
    func key() throws { #expect(try SweepSample.point("  key: [seed]").key == ["seed"]) }

    @Test("a key of a phase that is not known is warned of")
    func unknown() throws {
        #expect(
            try SweepSample.sweep("p:\n  combinations: [{x: [1]}]\n  description: hello").warnings.map(\.line) == [3])
    }

    @Test("a top-level mapping without combinations is no phase, and is warned of")
    func noCombinations() throws {
        let file = try SweepSample.sweep("p: {combinations: [{x: [1]}]}\nq: {combination: [{x: [1]}]}\ntitle: hello\n")
        #expect(file.phases.count == 1)
        #expect(file.warnings.map(\.line) == [2])
    }
}
