import Foundation

extension GatewaySettings {
    /// Reads the settings: the configuration file, then the `.env` file, then the environment, then the flags; the last that
    /// names a setting wins. A setting that is empty counts as absent.
    ///
    /// - Parameters:
    ///   - flags: the command line's settings, under their names in the environment.
    ///   - environment: what to read instead of the process's environment.
    ///   - environmentFile: the file of lines `NAME=value` to read; `nil` for `.env` in the working directory, if there is
    ///     one.
    ///   - configurationFile: the YAML file to read; `nil` for the one that `CLOAKROOM_CONFIG` in the environment names, if
    ///     any.
    ///   - needsProvider: whether the provider's settings must be there, as they must to serve.
    /// - Throws: the first setting that is wrong.
    public static func load(
        flags: [String: String] = [:], environment: [String: String]? = nil, environmentFile: String? = nil,
        configurationFile: String? = nil, needsProvider: Bool = true
    ) async throws(SettingsError) -> GatewaySettings {
        let environment = environment ?? ProcessInfo.processInfo.environment
        var sources: [SettingsSource] = []
        let named = environment["CLOAKROOM_CONFIG"].flatMap { $0.isEmpty ? nil : $0 }
        if let path = configurationFile ?? named { sources.append(try ConfigurationFile.read(path)) }
        sources.append(try await SettingsSource.environmentFile(environmentFile))
        sources.append(SettingsSource(name: "environment", texts: environment))
        sources.append(SettingsSource(name: "flag", texts: flags))
        return try GatewaySettings(sources: sources, needsProvider: needsProvider)
    }

    /// Reads the settings from these sources, the last of which wins.
    init(sources: [SettingsSource], needsProvider: Bool = true) throws(SettingsError) {
        self.init()
        for setting in Setting.all {
            var given: [SettingsSource.Given] = []
            for source in sources { if let value = try source.given(for: setting) { given.append(value) } }
            guard let last = given.last else { continue }
            origins[setting.name] = Origin(
                place: last.place, overridden: given.dropLast().reversed().map(\.place),
                file: last.isPath ? last.text : nil)
            do throws(SettingsError) {
                try setting.apply(try text(of: last, setting), &self)
            } catch {
                throw error.setting == setting.name ? error.found(in: last.place) : error
            }
        }
        warnOfReadableSecrets(sources)
        try settle()
        try validate(needsProvider: needsProvider)
    }

    /// A secret is as readable as the file that it stands in, whether it counts or not.
    private mutating func warnOfReadableSecrets(_ sources: [SettingsSource]) {
        for source in sources where source.isReadableByAll {
            let names = Setting.all.filter { $0.flag == nil && source.values[$0.name]?.text.isEmpty == false }.map(
                \.name)
            guard !names.isEmpty else { continue }
            warnings.append(
                "every user of this machine may read \(SettingsError.quoted(source.name)), which holds "
                    + names.joined(separator: ", "))
        }
    }

    private mutating func text(
        of given: SettingsSource.Given, _ setting: Setting
    ) throws(SettingsError) -> String {
        guard given.isPath else { return given.text }
        let name = setting.name + Setting.fileSuffix
        do throws(SettingsFile.Problem) {
            let secret = try SettingsFile.secret(at: given.text)
            if secret.isReadableByAll {
                warnings.append("\(name): every user of this machine may read \(SettingsError.quoted(given.text))")
            }
            return secret.text
        } catch {
            throw SettingsError(setting: name, reason: "\(SettingsError.quoted(given.text)) \(error.reason)")
        }
    }

    /// What settings mean together depends on which of them were given.
    private mutating func settle() throws(SettingsError) {
        if let sessionStore, origins["REDIS_ENABLED"] == nil { redisEnabled = sessionStore != .memory }
        if let sessionStore, redisEnabled != (sessionStore != .memory) { throw Self.contradiction(sessionStore) }
        if origins["SESSION_SEAL"] != nil, records.keyring == nil {
            throw .wrong("SESSION_SEAL", value: "\(records.seals)", expected: "absent, or given with SESSION_KEYS")
        }
    }

    static func contradiction(_ store: StoreKind) -> SettingsError {
        .wrong(
            "SESSION_STORE", value: store.rawValue,
            expected: store == .memory
                ? "redis or hybrid with REDIS_ENABLED=true" : "memory with REDIS_ENABLED=false, or leave that out")
    }

    /// Where a setting is from.
    struct Origin: Sendable {
        let place: String
        /// The places that give it too, to no effect; the strongest first.
        let overridden: [String]
        /// The file that holds its value, which is a secret.
        let file: String?
    }
}
