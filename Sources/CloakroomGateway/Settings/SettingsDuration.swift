/// Reads spans of time as people write them in settings: `8h`, `30m`, `90s`, `1h30m`, `1d`, or plain seconds.
enum SettingsDuration {
    private static let units: [Character: Int] = ["d": 86_400, "h": 3600, "m": 60, "s": 1]

    /// - Returns: `nil` when the text is anything else; units must go from large to small, each at most once.
    static func parse(_ text: String) -> Duration? {
        guard !text.isEmpty, text.utf8.count <= 32 else { return nil }
        if let seconds = seconds(text[...]) { return .seconds(seconds) }
        var total = 0
        var lastUnit = Int.max
        var rest = text[...]
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(digits.count)
            guard let count = seconds(digits), let unit = rest.popFirst().flatMap({ units[$0] }), unit < lastUnit else {
                return nil
            }
            lastUnit = unit
            total += count * unit
        }
        return .seconds(total)
    }

    /// At most nine digits, so that nothing below can overflow.
    private static func seconds(_ digits: Substring) -> Int? {
        guard (1...9).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int(digits)
    }
}
