import Configuration
import Foundation
import SystemPackage

/// Texts of settings from one place: a file, the environment or the command line.
struct SettingsSource: Sendable {
    struct Text: Sendable {
        let text: String
        /// Where it stands in a file.
        var line: Int?
    }

    /// What people call the place.
    let name: String
    /// Whether it is a file that every user of this machine may read.
    var isReadableByAll = false
    /// The texts by the names in the environment, those with `_FILE` included.
    var values: [String: Text] = [:]

    /// The settings by the names that a configuration file may have them under.
    static let declared: [String: Setting] = Setting.all.reduce(into: [:]) { all, setting in
        all[setting.key] = setting
        if setting.isSecret { all[(setting.name + Setting.fileSuffix).lowercased()] = setting }
    }

    /// A value of a setting, and where it is from.
    struct Given: Sendable {
        let text: String
        /// The source's name, and the line in a file.
        let place: String
        /// Whether `text` is the path of the file that holds the value.
        let isPath: Bool
    }

    /// What this source gives for a setting; empty counts as absent.
    func given(for setting: Setting) throws(SettingsError) -> Given? {
        let direct = text(setting.name)
        let path = setting.isSecret ? text(setting.name + Setting.fileSuffix) : nil
        if direct != nil, path != nil {
            throw SettingsError(
                setting: setting.name,
                reason: "and \(setting.name)\(Setting.fileSuffix) are both given (\(name)); give one of them")
        }
        guard let found = direct ?? path else { return nil }
        let place = found.line.map { "\(name), line \($0)" } ?? name
        return Given(text: found.text, place: place, isPath: direct == nil)
    }

    private func text(_ name: String) -> Text? {
        values[name].flatMap { $0.text.isEmpty ? nil : $0 }
    }

    /// The texts in a dictionary, by the names in the environment.
    init(name: String, texts: [String: String] = [:]) {
        self.name = name
        values = texts.mapValues { Text(text: $0) }
    }

    /// A file of lines `NAME=value`.
    ///
    /// - Parameter path: `nil` for `.env` in the working directory, if there is one.
    static func environmentFile(_ path: String?) async throws(SettingsError) -> SettingsSource {
        let provider: EnvironmentVariablesProvider
        do {
            provider = try await EnvironmentVariablesProvider(
                environmentFilePath: FilePath(path ?? ".env"), allowMissing: path == nil)
        } catch {
            throw .wrong(
                "--env-file", value: path ?? ".env", expected: "a file that can be read, with lines NAME=value")
        }
        let reader = ConfigReader(provider: provider)
        var source = SettingsSource(name: path ?? ".env")
        source.isReadableByAll = SettingsFile.isReadableByAll(path ?? ".env")
        for name in declared.keys {
            let key = ConfigKey(name.split(separator: "_").map(String.init))
            guard let text = reader.string(forKey: key, isSecret: true) else { continue }
            source.values[name.uppercased()] = Text(text: text)
        }
        return source
    }
}
