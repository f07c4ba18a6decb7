import Foundation
import Logging

/// A text that is no value of a setting.
struct Unfit: Error {
    /// Why, where what a value must be does not say it.
    var because: String?
}

/// How the text of a setting becomes its value, and the value a text again.
struct SettingForm<Value: Sendable>: Sendable {
    /// What stands for a value in help, such as `number`.
    let placeholder: String
    /// What a value must be, for errors.
    let description: String
    /// Reads a text.
    let parse: @Sendable (String) throws(Unfit) -> Value
    /// Whether a value that was not read is within the bounds.
    let isValid: @Sendable (Value) -> Bool
    /// A text that reads as this value; `nil` where there is none.
    let text: @Sendable (Value) -> String?
    /// A text as it may be shown; `nil` where it may not.
    var shown: @Sendable (String) -> String? = { $0 }

    init(
        _ placeholder: String, _ description: String, isValid: @escaping @Sendable (Value) -> Bool = { _ in true },
        text: @escaping @Sendable (Value) -> String?, parse: @escaping @Sendable (String) throws(Unfit) -> Value
    ) {
        self.placeholder = placeholder
        self.description = description
        self.isValid = isValid
        self.text = text
        self.parse = { (given) throws(Unfit) in
            let value = try parse(given)
            guard isValid(value) else { throw Unfit() }
            return value
        }
    }

    /// The same form for values that are not shown to anyone.
    var secret: Self {
        var form = self
        form.shown = { _ in nil }
        return form
    }
}

extension SettingForm where Value == String {
    /// Text within bounds.
    static func text(
        _ placeholder: String, _ description: String, isValid: @escaping @Sendable (String) -> Bool = { _ in true }
    ) -> Self {
        SettingForm(placeholder, description, isValid: isValid, text: { $0 }, parse: { $0 })
    }

    /// Visible ASCII characters, so many of them.
    static func visible(_ placeholder: String, _ lengths: ClosedRange<Int>, example: String? = nil) -> Self {
        let suffix = example.map { ", for example \($0)" } ?? ""
        return text(
            placeholder, "\(lengths.lowerBound) to \(lengths.upperBound) visible ASCII characters\(suffix)",
            isValid: { $0.isVisibleASCII(lengths) })
    }

    /// An address, which is shown without whatever might be a password in it.
    static func url(_ description: String, isValid: @escaping @Sendable (String) -> Bool) -> Self {
        var form = text("url", description, isValid: isValid)
        form.shown = { SettingsError.redactedURL($0) }
        return form
    }

    /// A PEM file, which is looked at.
    static let pemFile = text(
        "path", "a PEM file that can be read",
        isValid: { path in
            FileManager.default.contents(atPath: path)?.range(of: Data("-----BEGIN".utf8)) != nil
        })
}

extension SettingForm where Value == Int {
    static func number(_ range: ClosedRange<Int>, example: Int? = nil) -> Self {
        let suffix = example.map { ", for example \($0)" } ?? ""
        return SettingForm(
            "number", "a number from \(range.lowerBound) to \(range.upperBound)\(suffix)",
            isValid: { range.contains($0) }, text: { "\($0)" }
        ) { (text) throws(Unfit) in
            guard let number = Int(text) else { throw Unfit() }
            return number
        }
    }

    /// A size in bytes.
    static func size(_ range: ClosedRange<Int>, example: String) -> Self {
        let bounds = "\(SettingsSize.text(range.lowerBound)) to \(SettingsSize.text(range.upperBound))"
        return SettingForm(
            "bytes", "a size from \(bounds), for example \(example)", isValid: { range.contains($0) },
            text: { SettingsSize.text($0) }
        ) { (text) throws(Unfit) in
            guard let size = SettingsSize.parse(text) else { throw Unfit() }
            return size
        }
    }
}

extension SettingForm where Value == Duration {
    /// A span of time.
    static func time(
        _ range: ClosedRange<Duration>, example: String, description: String? = nil,
        finest: SettingsDuration.Unit = .seconds
    ) -> Self {
        let bounds = "\(SettingsDuration.text(range.lowerBound)) to \(SettingsDuration.text(range.upperBound))"
        return SettingForm(
            "time", description ?? "a time from \(bounds), for example \(example)", isValid: { range.contains($0) },
            text: { SettingsDuration.text($0) }
        ) { (text) throws(Unfit) in
            guard let time = SettingsDuration.parse(text, finest: finest) else { throw Unfit() }
            return time
        }
    }
}

extension SettingForm where Value == Bool {
    /// One of two words; `yes`, `1` and the like are read too where the words are `true` and `false` or `on` and `off`.
    static func either(_ yes: String, _ no: String) -> Self {
        SettingForm("\(yes)|\(no)", "\(yes) or \(no)", text: { $0 ? yes : no }) { (text) throws(Unfit) in
            let word = text.lowercased()
            let isPlain = ["true", "on"].contains(yes)
            if word == yes || (isPlain && ["true", "yes", "on", "1"].contains(word)) { return true }
            if word == no || (isPlain && ["false", "no", "off", "0"].contains(word)) { return false }
            throw Unfit()
        }
    }

    static let truth = either("true", "false")
}

extension SettingForm where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    /// One of the cases, in letters of either case.
    static var choice: Self {
        let words = Value.allCases.map(\.rawValue)
        let last = words.count > 1 ? " or \(words[words.count - 1])" : ""
        let description = words.dropLast(last.isEmpty ? 0 : 1).joined(separator: ", ") + last
        return SettingForm(words.joined(separator: "|"), description, text: { $0.rawValue }) { (text) throws(Unfit) in
            guard let value = Value(rawValue: text.lowercased()) else { throw Unfit() }
            return value
        }
    }
}

extension SettingForm {
    /// The same, or `off`, which is `nil`.
    var orOff: SettingForm<Value?> {
        optional("\(placeholder)|off", "off, or \(description)", absent: "off")
    }

    /// The same for a value that may be absent.
    var orAbsent: SettingForm<Value?> { optional(placeholder, description, absent: nil) }

    /// - Parameter absent: the word for `nil`, if there is one.
    private func optional(_ placeholder: String, _ description: String, absent: String?) -> SettingForm<Value?> {
        let (parse, isValid, text) = (self.parse, self.isValid, self.text)
        var form = SettingForm<Value?>(
            placeholder, description, isValid: { $0.map(isValid) ?? true }, text: { $0.map(text) ?? absent }
        ) { (given) throws(Unfit) in
            if given.lowercased() == absent { return nil }
            return try parse(given)
        }
        form.shown = shown
        return form
    }
}

extension String {
    /// Whether it has a length within these, in bytes, and nothing but visible ASCII characters.
    func isVisibleASCII(_ lengths: ClosedRange<Int>) -> Bool {
        lengths.contains(utf8.count) && utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }
}
