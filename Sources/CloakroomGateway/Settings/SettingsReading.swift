import Configuration

/// How all settings are read: what is empty counts as absent, and what can't be read is told in one line.
extension ConfigReader {
    func text(_ key: ConfigKey, isSecret: Bool = false) -> String? {
        guard let text = string(forKey: key, isSecret: isSecret), !text.isEmpty else { return nil }
        return text
    }

    func value<Value>(
        _ key: ConfigKey, _ name: String, _ expected: String, _ parse: (String) -> Value?
    ) throws(SettingsError) -> Value? {
        guard let text = text(key) else { return nil }
        guard let value = parse(text) else { throw .wrong(name, value: text, expected: expected) }
        return value
    }

    func truth(
        _ key: ConfigKey, _ name: String, form: String = "true or false"
    ) throws(SettingsError) -> Bool? {
        try value(key, name, form) { text in
            switch text.lowercased() {
            case "true", "yes", "on", "1": true
            case "false", "no", "off", "0": false
            default: nil
            }
        }
    }
}

extension String {
    /// Whether it has a length within these, in bytes, and nothing but visible ASCII characters.
    func isVisibleASCII(_ lengths: ClosedRange<Int>) -> Bool {
        lengths.contains(utf8.count) && utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }
}
