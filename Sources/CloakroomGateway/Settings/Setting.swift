/// One setting of the gateway, declared once: its name in the environment, from which those in files and of flags follow,
/// what it is for, which values it takes, and where its value is kept.
///
/// Help, reference, `cloakroom check`, validation and redaction all come from the declaration.
public struct Setting: Sendable {
    /// Under which heading help and reference show it.
    public enum Group: String, CaseIterable, Sendable {
        case server = "Server"
        case provider = "Identity provider"
        case upstream = "Upstream"
        case limits = "Limits"
        case redis = "Redis"
        case sessions = "Sessions"
        case management = "Management"
        case log = "Log"
    }

    /// The name in the environment and in `.env` files, such as `REDIS_URL`.
    public let name: String
    /// The heading.
    public let group: Group
    /// What it is for, in a few words.
    public let about: String
    /// Whether its value is a secret: it has no flag then, but may be read from a file that `NAME_FILE` names.
    public let isSecret: Bool
    /// What stands for the value in help, such as `number`.
    public let placeholder: String
    /// What the value must be.
    public let form: String

    /// What is said of the default where its own text does not tell.
    public let defaultText: String?
    let apply: @Sendable (String, inout GatewaySettings) throws(SettingsError) -> Void
    let check: @Sendable (GatewaySettings) throws(SettingsError) -> Void
    let show: @Sendable (GatewaySettings) -> String?
    /// Between the values of a list in a configuration file; `nil` where there may be one alone.
    let listSeparator: String?

    /// The name in a configuration file, such as `redis_url`.
    public var key: String { name.lowercased() }
    /// The flag, such as `redis-url`; `nil` for secrets, as whoever may list processes sees flags.
    public var flag: String? { hasFlag ? key.replacing("_", with: "-") : nil }
    private let hasFlag: Bool

    /// Declares a setting.
    ///
    /// - Parameters:
    ///   - path: where the value is kept.
    ///   - defaultText: what to say of the default where its text does not tell.
    ///   - isSecret: whether the whole value is secret. Without a flag and with `NAME_FILE`.
    ///   - mayHoldSecret: whether a part of the value may be, as a password in a URL. With a flag, and with `NAME_FILE`.
    ///   - shown: how `check` shows the value, if not by its text.
    ///   - also: what else follows from its being given.
    init<Value: Sendable>(
        _ name: String, _ group: Group, _ path: any WritableKeyPath<GatewaySettings, Value> & Sendable,
        _ form: SettingForm<Value>, _ about: String, default defaultText: String? = nil, isSecret: Bool = false,
        mayHoldSecret: Bool = false, listSeparator: String? = nil,
        shown: (@Sendable (GatewaySettings) -> String?)? = nil,
        also: @escaping @Sendable (inout GatewaySettings) -> Void = { _ in }
    ) {
        self.name = name
        self.group = group
        self.about = about
        self.isSecret = isSecret || mayHoldSecret
        hasFlag = !isSecret
        self.placeholder = form.placeholder
        self.form = form.description
        self.defaultText = defaultText
        self.listSeparator = listSeparator
        let form = isSecret ? form.secret : form
        let shownText = form.shown
        apply = { (text, settings) throws(SettingsError) in
            do throws(Unfit) {
                settings[keyPath: path] = try form.parse(text)
            } catch {
                throw .wrong(name, value: shownText(text), because: error.because, expected: form.description)
            }
            also(&settings)
        }
        check = { (settings) throws(SettingsError) in
            let value = settings[keyPath: path]
            guard form.isValid(value) else {
                throw .wrong(name, value: form.text(value).flatMap(shownText), expected: form.description)
            }
        }
        show =
            shown ?? { settings in
                form.text(settings[keyPath: path]).map { shownText($0) ?? Self.hidden }
            }
    }

    /// What stands for a secret.
    static let hidden = "***"
    /// What is added to a secret's name where its value is in a file.
    static let fileSuffix = "_FILE"

    /// All settings, in the order in which they are shown.
    public static let all = server + provider + client + upstream + limits + redis + sessions + management + log
}
