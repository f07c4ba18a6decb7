import CloakroomGateway
import CloakroomOIDC
import CloakroomRedis

/// What `cloakroom check` found, as it is printed.
struct CheckReport: Encodable {
    struct Line: Encodable {
        /// `settings`, `store`, `redis`, `redis-secondary`, `identity-provider`, `upstream`, `public-url`, `replicas` or `security`.
        let part: String
        let name: String
        /// `ok`, `warn`, `fail` or `unknown`.
        let status: String
        let detail: String
        var remedy: String?
    }

    struct Setting: Encodable {
        let value: String?
        let isDefault: Bool
        let source: String?
        let overridden: [String]

        private enum CodingKeys: String, CodingKey { case value, is_default, source, overridden }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            // Null where there is none, rather than nothing: all names have both members.
            try container.encode(value, forKey: .value)
            try container.encode(isDefault, forKey: .is_default)
            try container.encode(source, forKey: .source)
            if !overridden.isEmpty { try container.encode(overridden, forKey: .overridden) }
        }
    }

    var settings: [String: Setting] = [:]
    var checks: [Line] = []
    /// The settings' names in the order in which they are shown.
    private var names: [String] = []

    private enum CodingKeys: String, CodingKey { case ok, settings, checks }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(!hasFailure, forKey: .ok)
        try container.encode(settings, forKey: .settings)
        try container.encode(checks, forKey: .checks)
    }

    var hasFailure: Bool { checks.contains { $0.status == "fail" } }

    mutating func add(_ effective: [EffectiveSetting]) {
        for setting in effective {
            names.append(setting.name)
            settings[setting.name] = Setting(
                value: setting.value, isDefault: setting.isDefault, source: setting.source,
                overridden: setting.overridden)
        }
    }

    mutating func add(_ items: [RedisHealth.Item], part: String) {
        for item in items {
            checks.append(
                Line(
                    part: part, name: item.name, status: item.status.rawValue, detail: item.detail,
                    remedy: item.remedy))
        }
    }

    mutating func add(_ health: ProviderHealth) {
        for item in health.items {
            checks.append(
                Line(
                    part: "identity-provider", name: item.name, status: item.status.rawValue, detail: item.detail,
                    remedy: item.remedy))
        }
    }

    /// For people.
    var text: String {
        var lines: [String] = []
        if !names.isEmpty {
            lines.append("Settings")
            let width = names.map(\.count).max() ?? 0
            for name in names {
                guard let setting = settings[name] else { continue }
                let note = Self.note(setting)
                lines.append("  \(Self.padded(name, width))  \(setting.value ?? "-")\(note)")
            }
            lines.append("")
        }
        lines.append("Checks")
        let width = checks.map { $0.part.count + $0.name.count + 1 }.max() ?? 0
        for check in checks {
            let name = Self.padded("\(check.part) \(check.name)", width)
            lines.append("  \(Self.padded(check.status, 7))  \(name)  \(check.detail)")
            if let remedy = check.remedy { lines.append("           to do: \(remedy)") }
        }
        lines.append("")
        let failures = checks.count { $0.status == "fail" }
        let warnings = checks.count { $0.status == "warn" }
        lines.append("\(failures) failed, \(warnings) to look at.")
        return lines.joined(separator: "\n")
    }

    /// Where a value is from, and where else one is that does not count.
    private static func note(_ setting: Setting) -> String {
        guard let source = setting.source else { return setting.value == nil ? "" : "  (default)" }
        guard !setting.overridden.isEmpty else { return "  (\(source))" }
        return "  (\(source), not \(setting.overridden.joined(separator: ", ")))"
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
