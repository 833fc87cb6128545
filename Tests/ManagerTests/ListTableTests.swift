import EventLog
import Projections
import Testing

@testable import manager

@Suite("Tables for people")
struct ListTableTests {
    private func table() -> ListTable {
        var table = ListTable([
            .init(title: "task", canShrink: true), .init(title: "n", isRight: true), .init(title: "note"),
        ])
        table.add(["a", "5", .init("failed", colour: 31)])
        table.add(["a-much-longer-name", "12", "x\ny\u{1B}"])
        return table
    }

    @Test("columns are aligned, numbers on the right, nothing hangs over at the end")
    func aligned() {
        #expect(
            table().text(width: nil, hasColours: false) == """
                task                 n  note
                a                    5  failed
                a-much-longer-name  12  x y 

                """)
    }

    @Test("empty fields at a line's end leave no spaces")
    func emptyFields() {
        var table = ListTable([.init(title: "a"), .init(title: "b", isRight: true), .init(title: "c")])
        table.add(["x", "", ""])
        table.add(["", "", "y"])
        #expect(table.text(width: nil, hasColours: false) == "a  b  c\nx\n      y\n")
    }

    @Test("a narrow terminal shortens what may be shortened, and no line is wider")
    func narrow() {
        let text = table().text(width: 22, hasColours: false)
        #expect(text.contains("a-much-lo…"))
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 22 })
    }

    @Test("colours only where they are wanted, and control characters never reach the terminal")
    func colours() {
        #expect(table().text(width: nil, hasColours: true).contains("\u{1B}[31mfailed\u{1B}[0m"))
        #expect(!table().text(width: nil, hasColours: false).contains("\u{1B}"))
    }

    @Test("on a narrow terminal the status table leaves out what no task has")
    func narrowStatus() throws {
        var state = ManagerState()
        var body: [UInt8] = []
        Event.added(
            id: "a", spec: TaskSpec(phase: "p", config: Array("{}".utf8), outputDirectories: ["r"]), counter: nil
        ).encode(actor: nil, to: &body)
        try body.withUnsafeBufferPointer {
            state.apply(try EventView($0), at: LogPosition(1), time: LogTime(microseconds: 0), crc: 0)
        }
        let wide = StatusTable.text(StatusSummary(state), width: 100)
        #expect(wide.contains("cancelled") && wide.hasPrefix("phase  pending  assigned"))
        let narrow = StatusTable.text(StatusSummary(state), width: 40)
        #expect(narrow.hasPrefix("phase  pending  total\np            1      1\n"))
    }
}
