import Testing

@testable import manager

@Suite("A cell agrees with a config's value")
struct CellValueTests {
    private func agree(_ cell: String, _ json: String) -> Bool {
        let (cell, json) = (Array(cell.utf8), Array(json.utf8))
        let agrees = CellValue.agrees(cell, with: json)
        // What agrees must have one form, or the index would not find it.
        if agrees { #expect(CellValue.form(cell: cell) == CellValue.form(json: json)) }
        return agrees
    }

    @Test(
        "in any spelling of a number, in text, truth, nothing and lists",
        arguments: [
            ("4", "4"), ("4.0", "4"), ("4", "4.0"), ("40e-1", "4"), (" 4 ", "4"), ("+4", "4"), ("1e-05", "0.00001"),
            (".5", "0.5"), ("0.1", "0.10"), ("0.12345678901234568", "0.1234567890123456789"), ("-0", "0"),
            ("1e3", "1000"), ("mnist", #""mnist""#), ("ü", #""\u00fc""#), ("4", #""4""#), ("True", "true"),
            ("false", "false"), ("", "null"), ("", ""), ("[1, 2.0]", "[1,2]"), ("9007199254740993", "9007199254740993"),
        ])
    func agrees(_ pair: (cell: String, json: String)) { #expect(agree(pair.cell, pair.json), "\(pair)") }

    @Test(
        "and not in another value",
        arguments: [
            ("4.1", "4"), ("04", "4"), ("4.0", #""4""#), ("1.1", #""1.10""#), ("MNIST", #""mnist""#), ("1", "true"),
            ("0", "null"), ("None", "null"), ("[2,1]", "[1,2]"), ("9007199254740992", "9007199254740993"),
            ("nan", "0"), ("4x", "4"), ("-", "0"), ("true", #""True""#),
        ])
    func differs(_ pair: (cell: String, json: String)) { #expect(!agree(pair.cell, pair.json), "\(pair)") }
}
