/// One setting as it counts, for people: what `cloakroom check` prints.
public struct EffectiveSetting: Sendable, Equatable {
    /// The name in the environment.
    public let name: String
    /// The value; a secret is replaced. `nil` when it is absent.
    public let value: String?
    /// Whether it is what stands for a setting that is not given.
    public let isDefault: Bool
    /// Where it was read: `flag`, `environment`, or a file and perhaps a line; `nil` if it was not.
    public let source: String?
    /// The places that give it too, to no effect.
    public let overridden: [String]

    init(name: String, value: String?, isDefault: Bool, source: String? = nil, overridden: [String] = []) {
        self.name = name
        self.value = value
        self.isDefault = isDefault
        self.source = source
        self.overridden = overridden
    }
}

extension GatewaySettings {
    /// All settings as they count, secrets replaced, always in the same order.
    public var effectiveSettings: [EffectiveSetting] {
        let defaults = GatewaySettings()
        return Setting.all.map { setting in
            let (value, origin) = (setting.show(self), origins[setting.name])
            return EffectiveSetting(
                name: setting.name, value: value, isDefault: value == setting.show(defaults), source: origin?.place,
                overridden: origin?.overridden ?? [])
        }
    }
}
