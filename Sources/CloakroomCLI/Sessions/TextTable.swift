import CloakroomGateway

/// Rows under headings, in columns as wide as what stands in them, or as the terminal lets them be.
struct TextTable {
    /// A column that may be cut has at least this many characters left.
    private static let least = 6
    private static let gap = 2

    let headings: [String]
    private(set) var rows: [[String]] = []

    init(_ headings: [String]) { self.headings = headings }

    /// - Parameter cells: text from outside too: what could move the cursor or turn the text around is shown as an escape.
    mutating func add(_ cells: [String]) {
        rows.append(cells.map { LineLogHandler.visible($0) })
    }

    /// - Parameter width: how many characters a line may have; `nil` for any number.
    func lines(width: Int?) -> [String] {
        let all = [headings] + rows
        var widths = headings.indices.map { column in all.map { Self.width($0[column]) }.max() ?? 0 }
        if let width {
            var excess = widths.reduce(0, +) + Self.gap * (widths.count - 1) - width
            // The widest gives way first.
            while excess > 0, let widest = widths.indices.max(by: { widths[$0] < widths[$1] }),
                widths[widest] > Self.least
            {
                widths[widest] -= 1
                excess -= 1
            }
        }
        return all.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let text = Self.cut(cell, to: widths[column])
                line += text
                if column < row.count - 1 {
                    line += String(repeating: " ", count: widths[column] - Self.width(text) + Self.gap)
                }
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }

    private static func cut(_ text: String, to width: Int) -> String {
        guard Self.width(text) > width else { return text }
        var out = ""
        var used = 0
        for character in text {
            let size = Self.width(character)
            guard used + size < width else { break }
            out.append(character)
            used += size
        }
        return out + "…"
    }

    static func width(_ text: String) -> Int { text.reduce(0) { $0 + width($1) } }

    /// Letters of East Asia and pictures take two columns.
    private static func width(_ character: Character) -> Int {
        guard let scalar = character.unicodeScalars.first else { return 0 }
        switch scalar.value {
        case 0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60,
            0xFFE0...0xFFE6, 0x1F300...0x1FAFF, 0x20000...0x3FFFD:
            return 2
        default: return 1
        }
    }
}
