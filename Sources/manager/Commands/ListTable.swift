/// An aligned table for people. Pure: width and colours come in.
struct ListTable {
    /// One column.
    struct Column {
        let title: String
        var isRight = false
        /// Whether it is shortened where the terminal is narrow; of several the last one first.
        var canShrink = false
    }

    /// One field, maybe in a colour (an ANSI code).
    struct Cell: ExpressibleByStringLiteral {
        let text: String
        var colour: Int?

        init(_ text: String, colour: Int? = nil) {
            // A line end or control character would break the table, or the terminal.
            self.text = String(
                text.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? " " : Character($0) })
            self.colour = colour
        }

        init(stringLiteral text: String) { self.init(text) }
    }

    private static let gap = 2
    private static let narrowest = 8

    let columns: [Column]
    private(set) var rows: [[Cell]] = []

    /// A table without rows.
    init(_ columns: [Column]) { self.columns = columns }

    /// Adds a row; it has a cell for each column.
    mutating func add(_ cells: [Cell]) {
        precondition(cells.count == columns.count, "a row has a cell for each column")
        rows.append(cells)
    }

    /// The table as text: a line of titles, then the rows. `width`: columns of the terminal, nil where there is none.
    func text(width: Int?, hasColours: Bool) -> String {
        var widths = columns.indices.map { index in
            rows.reduce(columns[index].title.count) { max($0, $1[index].text.count) }
        }
        if let width { shrink(&widths, to: width) }
        var text = line(columns.map { Cell($0.title, colour: 2) }, widths, hasColours)
        for row in rows { text += line(row, widths, hasColours) }
        return text
    }

    private func shrink(_ widths: inout [Int], to width: Int) {
        for index in columns.indices.reversed() where columns[index].canShrink {
            let total = widths.reduce(0, +) + Self.gap * (columns.count - 1)
            guard total > width else { return }
            widths[index] = max(Self.narrowest, widths[index] - (total - width))
        }
    }

    private func line(_ cells: [Cell], _ widths: [Int], _ hasColours: Bool) -> String {
        var line = ""
        var owed = ""
        for (index, cell) in cells.enumerated() {
            let text = cell.text.count > widths[index] ? cell.text.prefix(widths[index] - 1) + "…" : cell.text[...]
            let padding = String(repeating: " ", count: widths[index] - text.count)
            let shown = hasColours ? cell.colour.map { "\u{1B}[\($0)m\(text)\u{1B}[0m" } ?? String(text) : String(text)
            // Spaces at a line's end are left out.
            let gap = owed
            owed = (columns[index].isRight ? "" : padding) + String(repeating: " ", count: Self.gap)
            if text.isEmpty {
                owed = gap + padding + String(repeating: " ", count: Self.gap)
            } else {
                line += gap + (columns[index].isRight ? padding + shown : shown)
            }
        }
        return line + "\n"
    }
}

extension ListTable {
    /// The colour of a status.
    static func colour(_ word: String) -> Int? {
        switch word {
        case "complete": 32
        case "failed", "cancelled": 31
        case "held": 33
        case "assigned", "busy": 36
        default: nil
        }
    }

    /// The table for standard output as it is now.
    var forStandardOutput: String {
        text(width: Terminal.width, hasColours: Terminal.hasColours)
    }
}
