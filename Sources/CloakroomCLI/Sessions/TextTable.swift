import CloakroomGateway

/// Rows under headings, in columns as wide as what stands in them, or as the terminal lets them be.
struct TextTable {
    struct Column {
        let heading: String
        /// Whether what stands in it is of use as a whole alone, such as a handle that is to be copied.
        var isWhole = true
        /// Where there is no room for all columns, those with the highest rank are left out first.
        var rank = 0
    }

    /// A column that may be cut has at least this many characters left.
    private static let least = 8
    private static let gap = 2

    let columns: [Column]
    private(set) var rows: [[String]] = []

    init(_ columns: [Column]) { self.columns = columns }

    /// - Parameter cells: text from outside too: what could move the cursor or turn the text around is shown as an escape.
    mutating func add(_ cells: [String]) {
        rows.append(cells.map { LineLogHandler.visible($0) })
    }

    /// - Parameter width: how many characters a line may have; `nil` for any number.
    func lines(width: Int?) -> [String] {
        let all = [columns.map(\.heading)] + rows
        let natural = columns.indices.map { column in all.map { Self.width($0[column]) }.max() ?? 0 }
        var shown = Array(columns.indices)
        var widths = natural
        while let width {
            if let fitting = fitted(natural, shown, width) {
                widths = fitting
                break
            }
            guard shown.count > 1, let last = shown.max(by: { columns[$0].rank < columns[$1].rank }) else { break }
            shown.removeAll { $0 == last }
        }
        return all.map { row in
            var line = ""
            for (place, column) in shown.enumerated() {
                let text = Self.cut(row[column], to: widths[column])
                line += text
                if place < shown.count - 1 {
                    line += String(repeating: " ", count: widths[column] - Self.width(text) + Self.gap)
                }
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }

    /// Widths with which these columns fit; `nil` if they can't. The widest gives way first.
    private func fitted(_ natural: [Int], _ shown: [Int], _ width: Int) -> [Int]? {
        var widths = natural
        var excess = shown.reduce(0) { $0 + widths[$1] } + Self.gap * (shown.count - 1) - width
        while excess > 0 {
            let flexible = shown.filter { !columns[$0].isWhole && widths[$0] > Self.least }
            guard let widest = flexible.max(by: { widths[$0] < widths[$1] }) else { return nil }
            widths[widest] -= 1
            excess -= 1
        }
        return widths
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
