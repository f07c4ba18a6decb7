/// Reads spans of time as people write them in settings: `8h`, `30m`, `90s`, `1h30m`, `1d`, or plain seconds.
enum SettingsDuration {
    /// The smallest unit that a setting takes.
    enum Unit: Int64 {
        case seconds = 1000
        case milliseconds = 1
    }

    /// In milliseconds, the largest first.
    private static let units: [(name: String, length: Int64)] = [
        ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1),
    ]

    /// - Returns: `nil` when the text is anything else; units must go from large to small, each at most once.
    static func parse(_ text: String) -> Duration? { parse(text, finest: .seconds) }

    /// The same, with `500ms` too where `finest` says so.
    static func parse(_ text: String, finest: Unit) -> Duration? {
        guard !text.isEmpty, text.utf8.count <= 32 else { return nil }
        if let seconds = number(text[...]) { return .seconds(seconds) }
        var total: Int64 = 0
        var lastUnit = Int64.max
        var rest = text[...]
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(digits.count)
            let name = rest.prefix { !$0.isNumber }
            rest = rest.dropFirst(name.count)
            guard let count = number(digits), let unit = units.first(where: { $0.name == name })?.length,
                unit < lastUnit, unit >= finest.rawValue
            else { return nil }
            lastUnit = unit
            total += count * unit
        }
        return .milliseconds(total)
    }

    /// A span as ``parse(_:finest:)`` reads it, to the millisecond.
    static func text(_ duration: Duration) -> String {
        let parts = duration.components
        var rest = parts.seconds * 1000 + parts.attoseconds / 1_000_000_000_000_000
        guard rest > 0 else { return rest == 0 ? "0s" : "\(duration)" }
        var text = ""
        for (name, length) in units where rest >= length {
            text += "\(rest / length)\(name)"
            rest %= length
        }
        return text
    }

    /// At most nine digits, so that nothing above can overflow.
    private static func number(_ digits: Substring) -> Int64? {
        guard (1...9).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int64(digits)
    }
}
