import EventLog
import Testing

@testable import manager

@Suite("Names of sweep files")
struct SweepFileNameTests {
    let folder: ScratchFolder

    init() throws {
        folder = try ScratchFolder()
        for name in [
            "configs/b.yaml", "configs/a.yaml", "configs/c.yml", "configs/.h.yaml", "x/1/s.yaml", "x/2/s.yaml",
        ] {
            try folder.write("", to: name)
        }
    }

    private func find(_ patterns: [String]) throws -> [String] {
        try SweepFileNames.find(patterns, in: folder.path, on: LocalFileSystem())
    }

    @Test("the default pattern finds files in name order")
    func standard() throws { #expect(try find([]) == ["configs/a.yaml", "configs/b.yaml"]) }

    @Test("the default pattern may match nothing")
    func noDefault() throws {
        #expect(try SweepFileNames.find([], in: folder.path + "/x", on: LocalFileSystem()) == [])
    }

    @Test("patterns may overlap; names come sorted, each once")
    func several() throws {
        #expect(
            try find(["x/*/s.yaml", "configs/[ab].yaml", "configs/a.*"]) == [
                "configs/a.yaml", "configs/b.yaml", "x/1/s.yaml", "x/2/s.yaml",
            ])
    }

    @Test(
        "a pattern without a match is an error that names it",
        arguments: ["configs/*.json", "nowhere/*.yaml", "configs"])
    func noMatch(pattern: String) {
        #expect(throws: SweepFileNames.Failure.noMatch(pattern: pattern)) { try find([pattern]) }
    }

    @Test("an absolute pattern gives absolute names")
    func absolute() throws { #expect(try find([folder.path + "/configs/a*"]) == [folder.path + "/configs/a.yaml"]) }

    @Test(
        "signs of a pattern",
        arguments: [
            ("a.yaml", "*.yaml", true), ("a.yaml", "?.yaml", true), ("ab", "?", false), ("a-b", "a[-x]b", true),
            ("a", "[!a]", false), ("b", "[!a]", true), ("m", "[a-z]", true), ("M", "[a-z]", false), ("*", "\\*", true),
            ("a", "\\*", false), ("[", "[", true), (".a", "*", false), (".a", ".*", true), ("abcabd", "*ab?", true),
            ("", "*", true), ("a", "", false), ("]", "[]]", true),
        ])
    func signs(name: String, pattern: String, matches: Bool) { #expect(GlobPattern.matches(name, pattern) == matches) }
}

@Suite("Names of directories with keys in them")
struct PlaceholderTemplateTests {
    @Test("keys stand between braces, doubled braces are braces")
    func parts() throws {
        #expect(
            try PlaceholderTemplate("a{b}c{{d}}e}{f}").parts == [
                .literal("a"), .placeholder("b"), .literal("c{d}e}"), .placeholder("f"),
            ])
    }

    @Test("a brace that is never closed is refused")
    func unclosed() {
        #expect(throws: PlaceholderTemplate.Unclosed(rest: "b")) { try PlaceholderTemplate("a{b") }
    }
}
