import Testing

@testable import manager

@Suite("Sweep files that are refused")
struct SweepRefusalTests {
    @Test(
        "each with its line",
        arguments: [
            ("p: [", SweepError.Code.brokenYAML, 1), ("a: 1\nb: 'x\n", .brokenYAML, 3),
            ("a: 1\n---\nb: 2", .brokenYAML, 2),
            ("a: *nothing\n", .brokenYAML, 1), ("x: 1\np: {}\np: {}\n", .duplicateKey, 2),
            ("p:\n  combinations: []", .emptyList, 2), ("p:\n  combinations:\n    - x: []", .emptyList, 3),
            ("p:\n  combinations:\n    - {}", .emptyList, 3), ("p:\n  combinations:\n    - x", .wrongType, 3),
            ("p:\n  combinations:\n    x: [1]", .wrongType, 3), ("p:\n  combinations:\n    - x: 1", .wrongType, 3),
            ("p:\n  combinations: [{x: [1]}]\n  priority: high", .wrongType, 3),
            ("p:\n  combinations: [{x: [1]}]\n  max_retries: -1", .badValue, 3),
            ("p:\n  combinations: [{x: [1]}]\n  command: python3 train.py", .wrongType, 3),
            ("p:\n  combinations: [{x: [1]}]\n  command: [a, \"{y}\"]", .unknownPlaceholder, 3),
            ("p:\n  combinations: [{x: [1]}]\n  command: [a, \"{x\"]", .badValue, 3),
            ("p:\n  combinations: [{x: [1]}]\n  after: p", .badValue, 3),
            ("p:\n  combinations: [{x: [1]}]\n  key: [y]", .badValue, 3),
            ("p:\n  combinations: [{x: [1]}]\n  env: {A=B: 1}", .badValue, 3),
            ("p:\n  combinations:\n    - seed: [null]", .wrongType, 3),
            ("p:\n  combinations:\n    - seed: [a/b]", .badValue, 3),
            ("defaults:\n  output_dir: \"r_{y}\"\np: {combinations: [{x: [1]}]}", .unknownPlaceholder, 2),
            ("defaults:\n  output_dir: \"r_{x\"\np: {combinations: [{x: [1]}]}", .badOutputDirectory, 2),
            ("defaults: 5\np: {combinations: [{x: [1]}]}", .wrongType, 1),
            ("a/b:\n  combinations: [{x: [1]}]", .badPhaseName, 1),
            (".a:\n  combinations: [{x: [1]}]", .badPhaseName, 1),
            ("\"a\\tb\":\n  combinations: [{x: [1]}]", .badPhaseName, 1),
            ("? [a]\n: 1\n", .wrongType, 1),
        ])
    func lines(yaml: String, code: SweepError.Code, line: Int) {
        let error = SweepSample.refusal(yaml)
        #expect(error?.code == code, "\(String(describing: error))")
        #expect(error?.line == line, "\(String(describing: error))")
    }

    @Test("a file without phases", arguments: ["", "# nothing\n", "defaults: {a: 1}\n", "p: {x: 1}\n", "p: 1\n"])
    func noPhase(yaml: String) { #expect(SweepSample.refusal(yaml)?.code == .noPhase) }

    @Test("a file that is a list or a text", arguments: ["- a\n", "hello\n"])
    func noMapping(yaml: String) { #expect(SweepSample.refusal(yaml)?.code == .wrongType) }

    @Test(
        "directories outside the data directory and of the manager's own",
        arguments: ["/abs", "../x", "a/../b", "\"a\\nb\"", "\"\"", "journal", "./backups/x", "'{x}/../..'"])
    func directories(path: String) {
        #expect(
            SweepSample.refusal("defaults: {output_dir: \(path)}\np: {combinations: [{x: [1]}]}")?.code
                == .badOutputDirectory)
    }

    @Test("a directory that only one of the values spoils")
    func spoiledDirectory() {
        let error = SweepSample.refusal(
            "defaults: {output_dir: 'r/{x}'}\np: {combinations: [{y: [1, 2]}, {x: [a, '..']}]}")
        #expect(
            error?.description == "s.yaml, line 2: p.output_dir: 'r/..' leaves the data directory; take out the '..'")
    }

    @Test("more points than the bound, also beyond 64 bits")
    func tooMany() {
        let hundred = (0..<100).map(String.init).joined(separator: ",")
        for keys in [4, 40] {
            let items = (0..<keys).map { "{k\($0): [\(hundred)]}" }.joined(separator: ",")
            #expect(SweepSample.refusal("p: {combinations: [\(items)]}")?.code == .tooLarge)
        }
    }

    @Test("a config over 1 MiB, a file over 8 MiB, text that is no UTF-8")
    func large() {
        let text = String(repeating: "x", count: 1 << 20)
        #expect(SweepSample.refusal("p: {combinations: [{x: [\(text)]}]}")?.code == .tooLarge)
        #expect(SweepSample.refusal(String(repeating: "#", count: (8 << 20) + 1))?.code == .fileTooLarge)
        #expect(throws: SweepError.self) { try SweepFile(yaml: Array("p: 1\nq: ".utf8) + [0xFF], name: "s") }
    }

    @Test("deep nesting is refused, not followed")
    func deep() {
        let nested = String(repeating: "[", count: 500) + String(repeating: "]", count: 500)
        #expect(SweepSample.refusal("p: {combinations: [{x: [\(nested)]}]}")?.code == .tooLarge)
        let deeper = String(repeating: "[", count: 200_000)
        #expect(SweepSample.refusal("p: {combinations: [{x: \(deeper)")?.code == .brokenYAML)
    }

    @Test("aliases that multiply are refused quickly, as values, as merges and as keys")
    func bombs() {
        var values = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
        var merges = "a0: &a0 {x: 1}\n"
        for level in 1...12 {
            let ten = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ",")
            values += "a\(level): &a\(level) [\(ten)]\n"
            merges += "a\(level): &a\(level) {<<: [\(ten)]}\n"
        }
        #expect(SweepSample.refusal(values + "p: {combinations: [{x: [*a12]}]}\n")?.code == .tooLarge)
        #expect(SweepSample.refusal(merges + "p: {defaults: *a12, combinations: [{x: [1]}]}\n")?.code == .tooLarge)
        #expect(SweepSample.refusal(values + "p: {combinations: [{*a12 : [1]}]}\n")?.code == .tooLarge)
        var chain = "a0: &a0 [x]\n"
        let (open, close) = (String(repeating: "[", count: 100), String(repeating: "]", count: 100))
        for level in 1...2000 { chain += "a\(level): &a\(level) \(open)*a\(level - 1)\(close)\n" }
        #expect(SweepSample.refusal(chain)?.code == .tooLarge)
    }

    @Test("an error is one sentence with file, line and field")
    func sentence() {
        #expect(
            SweepSample.refusal("p:\n  combinations:\n    - x: []\n")?.description
                == "s.yaml, line 3: p.combinations.x: this list is empty; write at least one value into it")
    }
}
