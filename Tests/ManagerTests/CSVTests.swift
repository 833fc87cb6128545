import Testing

@testable import manager

private func rows(_ text: String) -> [[String]] {
    var reader = CSVReader(Array(text.utf8))
    var result: [[String]] = []
    while let row = reader.next() { result.append(row.fields.indices.map { row.text($0) }) }
    return result
}

private func tail(_ text: String) -> CSVRow? {
    var reader = CSVReader(Array(text.utf8))
    while reader.next() != nil {}
    return reader.tail
}

private func line(_ values: [String]) -> String {
    var text: [UInt8] = []
    CSVText.appendRow(values.map { Array($0.utf8) }, to: &text)
    return String(decoding: text, as: UTF8.self)
}

@Suite("CSV as RFC 4180 has it")
struct CSVTests {
    @Test("fields are split at commas, rows at newlines")
    func plain() { #expect(rows("a,b\n1,2\n") == [["a", "b"], ["1", "2"]]) }

    @Test("a comma, a quote and a line end inside of quotes belong to the value")
    func quoted() {
        #expect(rows("\"a,b\",\"say \"\"x\"\"\",\"two\nlines\"\n") == [["a,b", "say \"x\"", "two\nlines"]])
    }

    @Test("CRLF ends a row and is no part of the last value")
    func carriageReturn() { #expect(rows("a,b\r\n1,\"2\"\r\n") == [["a", "b"], ["1", "2"]]) }

    @Test("empty values are kept, also the last one")
    func empty() { #expect(rows("a,,\n,\n\n") == [["a", "", ""], ["", ""], [""]]) }

    @Test("a quote inside of an unquoted value is a plain sign")
    func strayQuote() { #expect(rows("5\" disk,x\n") == [["5\" disk", "x"]]) }

    @Test("what follows a closing quote belongs to the value")
    func afterQuote() { #expect(rows("\"a\"b,c\n") == [["ab", "c"]]) }

    @Test("a last row without newline is no row but the tail")
    func unfinished() throws {
        #expect(rows("a,b\n1,2") == [["a", "b"]])
        let last = try #require(tail("a,b\n1,2"))
        #expect(last.offset == 4)
        #expect(last.raw == Array("1,2".utf8))
        #expect(!last.isQuoteOpen)
    }

    @Test("an open quote at the end is told")
    func openQuote() { #expect(tail("a\n1,\"x\ny")?.isQuoteOpen == true) }

    @Test("a text that ends with a newline has no tail")
    func noTail() { #expect(tail("a,b\n") == nil) }

    @Test("every row knows where it begins and ends in the file")
    func offsets() {
        var reader = CSVReader(Array("ab,c\r\n\"x\ny\",2\n".utf8), offset: 100)
        let rows = [reader.next(), reader.next()].compactMap { $0 }
        #expect(rows.map(\.offset) == [100, 106])
        #expect(rows.map(\.endOffset) == [106, 114])
    }

    @Test("pieces of any length give the same rows as the whole text", arguments: 1...9)
    func pieces(length: Int) {
        let text = Array("a,\"b \"\"c\"\"\"\r\n\n\"x\ny\",,z\nq,\"tail".utf8)
        var whole = CSVReader(text)
        var pieced = CSVReader()
        var expected: [CSVRow] = []
        while let row = whole.next() { expected.append(row) }
        var found: [CSVRow] = []
        var at = 0
        while at < text.count {
            let end = min(at + length, text.count)
            pieced.feed(Array(text[at..<end]))
            at = end
            while let row = pieced.next() { found.append(row) }
        }
        #expect(found == expected)
        #expect(pieced.tail == whole.tail)
    }

    @Test("values are quoted only where they must be")
    func writing() { #expect(line(["a", "b c", "d,e", "f\"g", "h\ni", ""]) == "a,b c,\"d,e\",\"f\"\"g\",\"h\ni\",\n") }

    @Test(
        "what is written reads back the same",
        arguments: ["", "x", "\"", "\"\"", ",", "\n", "\r", "\r\n", " a ", "ä,\"ö\"\n", "a\rb"])
    func roundTrip(value: String) { #expect(rows(line(["1", value, "2"])) == [["1", value, "2"]]) }

    @Test("a row's content is the same before and after its header grew")
    func content() throws {
        var reader = CSVReader(Array("1,\"x\"\n1,x,,\n".utf8))
        let rows = [reader.next(), reader.next()]
        let before = try #require(rows[0])
        let after = try #require(rows[1])
        let columns = ["a", "b", "c", "d"].map { Array($0.utf8) }
        #expect(before.contentBytes(columns: Array(columns[..<2])) == after.contentBytes(columns: columns))
    }

    @Test(
        "JSON values become fields",
        arguments: [
            ("\"a,b\"", "\"a,b\""), ("\"\\u00e4\\n\"", "\"ä\n\""), ("1e-3", "1e-3"), ("0.10", "0.10"), ("true", "true"),
            ("null", ""), ("[1,2]", "\"[1,2]\""), ("{\"a\":1}", "\"{\"\"a\"\":1}\""), ("\"\"", ""),
        ])
    func json(value: String, field: String) {
        var text: [UInt8] = []
        CSVText.appendField(json: Array(value.utf8)[...], to: &text)
        #expect(String(decoding: text, as: UTF8.self) == field)
    }
}

@Suite("Members of a JSON object")
struct JSONMembersTests {
    private func members(_ text: String) throws -> [String] {
        var members = JSONMembers(Array(text.utf8))
        var result: [String] = []
        while let member = try members.next() {
            let value = members.bytes[member.value]
            result.append(String(decoding: members.key(of: member) + Array("=".utf8) + Array(value), as: UTF8.self))
        }
        return result
    }

    @Test("members come in order with their values as they stand")
    func order() throws {
        #expect(
            try members(#"{"b":1,"a":{"x":[1,{"y":"}"}]},"c":"\"q\"","d\u0041":[]}"#)
                == ["b=1", #"a={"x":[1,{"y":"}"}]}"#, #"c="\"q\"""#, "dA=[]"])
    }

    @Test("an empty object has none")
    func empty() throws { #expect(try members("{}") == []) }

    @Test(
        "broken objects are refused",
        arguments: ["", "{", "[]", "{\"a\"}", "{\"a\":}", "{\"a\":1", "{\"a\":1,}", "{\"a\":1}x", "{\"a\":\"x}", "1"])
    func broken(text: String) {
        #expect(throws: JSONMembers.Malformed.self) { try members(text) }
    }
}
