import Testing

@testable import manager

@Suite("Members of a task object that are none")
struct TaskMembersTests {
    @Test(
        "letters changed, left out, added and swapped count one each",
        arguments: [
            ("", "abc", 3), ("abc", "abc", 0), ("abc", "acb", 1), ("abc", "ab", 1), ("abc", "xbcd", 2),
            ("priorty", "priority", 1), ("kye", "key", 1), ("ca", "abc", 3),
        ])
    func distance(left: String, right: String, wanted: Int) {
        #expect(TaskMembers.distance(Array(left.utf8), Array(right.utf8)) == wanted)
        #expect(TaskMembers.distance(Array(right.utf8), Array(left.utf8)) == wanted)
    }

    @Test("short names forgive one letter, long ones two; what is told of tasks is no slip of the pen")
    func meant() {
        #expect(TaskMembers.meant(by: "phases") == "phase")
        #expect(TaskMembers.meant(by: "base") == nil)
        #expect(TaskMembers.meant(by: "dev") == nil)
        #expect(TaskMembers.meant(by: "prioriti_") == "priority")
        #expect(TaskMembers.meant(by: "output_dir") == "output_dir")
        for name in TaskMembers.told { #expect(TaskMembers.meant(by: name) == nil, "\(name)") }
        #expect(TaskMembers.meant(by: String(repeating: "priority", count: 100)) == nil)
    }
}
