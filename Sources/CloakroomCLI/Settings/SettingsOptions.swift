import ArgumentParser
import CloakroomGateway

/// Where settings are read from, and the gateway's settings as flags.
struct SettingsOptions: ParsableArguments {
    @Option(help: ArgumentHelp("A configuration file in YAML (default: CLOAKROOM_CONFIG).", valueName: "path"))
    var config: String?
    @Option(help: ArgumentHelp("A file of settings to read instead of .env.", valueName: "path"))
    var envFile: String?

    @OptionGroup(title: "Server options")
    private var server: SettingFlags<ServerGroup>
    @OptionGroup(title: "Identity provider options")
    private var provider: SettingFlags<ProviderGroup>
    @OptionGroup(title: "Upstream options")
    private var upstream: SettingFlags<UpstreamGroup>
    @OptionGroup(title: "Limit options")
    private var limits: SettingFlags<LimitGroup>
    @OptionGroup(title: "Redis options")
    private var redis: SettingFlags<RedisGroup>
    @OptionGroup(title: "Session options")
    private var sessions: SettingFlags<SessionGroup>
    @OptionGroup(title: "Management options")
    private var management: SettingFlags<ManagementGroup>
    @OptionGroup(title: "Log options")
    private var log: SettingFlags<LogGroup>

    /// Reads the settings.
    ///
    /// - Parameter needsProvider: whether the provider's settings must be there.
    /// - Throws: the first one that is wrong.
    func load(needsProvider: Bool = true) async throws(SettingsError) -> GatewaySettings {
        let flags = [
            server.given, provider.given, upstream.given, limits.given, redis.given, sessions.given,
            management.given, log.given,
        ].reduce(into: [:]) { all, part in all.merge(part) { $1 } }
        return try await GatewaySettings.load(
            flags: flags, environmentFile: envFile, configurationFile: config, needsProvider: needsProvider)
    }
}

/// Names a group of settings to ``SettingFlags``, each of which must be a type of its own.
protocol SettingGroup: Sendable {
    static var group: Setting.Group { get }
}
private enum ServerGroup: SettingGroup { static let group = Setting.Group.server }
private enum ProviderGroup: SettingGroup { static let group = Setting.Group.provider }
private enum UpstreamGroup: SettingGroup { static let group = Setting.Group.upstream }
private enum LimitGroup: SettingGroup { static let group = Setting.Group.limits }
private enum RedisGroup: SettingGroup { static let group = Setting.Group.redis }
private enum SessionGroup: SettingGroup { static let group = Setting.Group.sessions }
private enum ManagementGroup: SettingGroup { static let group = Setting.Group.management }
private enum LogGroup: SettingGroup { static let group = Setting.Group.log }

/// The settings of a group as flags, as they are declared.
///
/// All are text here: what is right for each is decided in one place, whichever way a setting came. ArgumentParser finds the
/// options of a type by reflection, as its properties; this type shows it one for each setting instead.
private struct SettingFlags<Group: SettingGroup>: ParsableArguments, CustomReflectable {
    /// The settings that were given, under their names in the environment.
    private(set) var given: [String: String] = [:]

    init() {}

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        for (setting, flag) in Self.settings {
            given[setting.name] = try container.decode(Option<String?>.self, forKey: Key(flag)).wrappedValue
        }
    }

    var customMirror: Mirror {
        let defaults = GatewaySettings().effectiveSettings.reduce(into: [:]) { $0[$1.name] = $1.value }
        return Mirror(
            self,
            children: Self.settings.map { setting, flag in
                let standard = (setting.defaultText ?? defaults[setting.name]).map {
                    $0 == "required" ? " (required)" : " (default: \($0))"
                }
                let about = setting.about.prefix(1).uppercased() + setting.about.dropFirst()
                let option = Option<String?>(
                    wrappedValue: nil, name: .customLong(flag),
                    help: ArgumentHelp("\(about)\(standard ?? "").", valueName: setting.placeholder))
                return (label: flag, value: option)
            })
    }

    private static var settings: [(Setting, flag: String)] {
        Setting.all.filter { $0.group == Group.group }.compactMap { setting in setting.flag.map { (setting, $0) } }
    }

    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(_ name: String) { stringValue = name }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }
}
