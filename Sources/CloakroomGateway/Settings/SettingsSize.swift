/// Reads sizes in bytes as people write them in settings: `1024`, `64K`, `256M`, `1G`.
enum SettingsSize {
    private static let units: [Character: Int] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30]

    /// - Returns: `nil` when the text is anything else.
    static func parse(_ text: String) -> Int? {
        var digits = text[...]
        var unit = 1
        if let last = digits.last?.uppercased().first, let length = units[last] {
            unit = length
            digits = digits.dropLast()
        }
        // So few digits that the product can't overflow.
        guard (1...9).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let count = Int(digits)
        else { return nil }
        return count * unit
    }

    /// A size as ``parse(_:)`` reads it, in the largest unit that it is a multiple of.
    static func text(_ bytes: Int) -> String {
        for (name, length) in [("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)] where bytes >= length {
            if bytes % length == 0 { return "\(bytes / length)\(name)" }
        }
        return "\(bytes)"
    }
}
