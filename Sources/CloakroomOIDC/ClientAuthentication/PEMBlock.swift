/// One block of a PEM text (RFC 7468), with what stands before it.
struct PEMBlock {
    /// What it says that it is, such as `PRIVATE KEY`.
    let label: String
    /// The block with its first and last line.
    let text: String
    /// The lines before it that belong to no block.
    let preface: [Substring]

    /// The blocks of a text; one that has no end is left out.
    static func read(_ text: String) -> [PEMBlock] {
        var blocks: [PEMBlock] = []
        var preface: [Substring] = []
        var open: (label: String, lines: [Substring])?
        for line in text.split(whereSeparator: \.isNewline) {
            if let label = label(of: line, "BEGIN") {
                open = (label, [line])
            } else if let block = open {
                open?.lines.append(line)
                guard label(of: line, "END") == block.label else { continue }
                let text = (block.lines + [line]).joined(separator: "\n")
                blocks.append(PEMBlock(label: block.label, text: text, preface: preface))
                (open, preface) = (nil, [])
            } else {
                preface.append(line)
            }
        }
        return blocks
    }

    private static func label(of line: Substring, _ word: String) -> String? {
        let start = "-----\(word) ", end = "-----"
        guard line.hasPrefix(start), line.hasSuffix(end), line.count > start.count + end.count else { return nil }
        return String(line.dropFirst(start.count).dropLast(end.count))
    }
}
