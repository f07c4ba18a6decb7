import Cloakroom

package import struct Foundation.Date

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What a replica says of itself in Redis: which it is, and the settings that must be the same on all. No secret.
package struct ReplicaRecord: Sendable, Equatable {
    /// Settings whose values must agree, or users notice which replica answers.
    static let shared = [
        "PUBLIC_URL", "OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_SCOPES", "SESSION_TIMEOUT", "SESSION_IDLE_TIMEOUT",
        "SESSION_MAX_PER_USER", "SESSION_PLAIN",
    ]

    /// `CLOAKROOM_REPLICA_NAME`, or the host's name.
    package var name: String
    package var version: String
    /// When it started, in seconds since 1970.
    package var started: Int
    /// When it said this, in milliseconds since 1970 by its own clock.
    package var time: Int
    /// `memory`, `redis` or `hybrid`.
    package var store: String
    /// `REDIS_KEY_PREFIX`.
    package var prefix: String
    /// The IDs of `SESSION_KEYS`, the sealing one first.
    package var keyIDs: [String]
    /// Whether it seals new sessions.
    package var seals: Bool
    /// The values of ``shared`` settings; `nil` for one that is off.
    package var settings: [String: String?]

    /// What a replica with these settings says.
    package init(_ settings: GatewaySettings, prefix: String, started: Date, now: Date) {
        name = settings.replicaName ?? Self.hostName
        version = CloakroomVersion.current
        self.started = Int(started.timeIntervalSince1970)
        time = Int(now.timeIntervalSince1970 * 1000)
        store = settings.effectiveStore.rawValue
        self.prefix = prefix
        keyIDs = settings.records.keyring?.keyIDs ?? []
        seals = settings.records.isSealing
        self.settings = settings.effectiveSettings.reduce(into: [:]) { all, setting in
            if Self.shared.contains(setting.name) { all[setting.name] = .some(setting.value) }
        }
    }

    private static var hostName: String {
        var bytes = [CChar](repeating: 0, count: 256)
        guard gethostname(&bytes, bytes.count - 1) == 0 else { return "unknown" }
        return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// As it stands in Redis.
    package var json: [UInt8] {
        let settings = settings.sorted { $0.key < $1.key }.map {
            ($0.key, $0.value.map { JSONValue.string($0) } ?? .null)
        }
        return JSONValue.object([
            "replica": .string(name), "version": .string(version), "started": .number("\(started)"),
            "time": .number("\(time)"), "store": .string(store), "prefix": .string(prefix),
            "keys": .array(keyIDs.map { .string($0) }), "seals": .bool(seals),
            "settings": .object(JSONObject(settings)),
        ]).serialized
    }

    /// Reads what another replica has written, perhaps of another version; `nil` for what is no such record. All texts are
    /// bounded and fit for a terminal.
    package init?(_ json: [UInt8]) {
        guard let object = (try? JSONValue(parsing: json))?.object, let name = Self.text(object["replica"]) else {
            return nil
        }
        self.name = name
        version = Self.text(object["version"]) ?? "?"
        started = object["started"]?.integer ?? 0
        time = object["time"]?.integer ?? 0
        store = Self.text(object["store"]) ?? "?"
        prefix = Self.text(object["prefix"]) ?? "?"
        keyIDs = (object["keys"]?.array ?? []).prefix(64).compactMap(Self.text)
        seals = object["seals"]?.bool ?? false
        settings = (object["settings"]?.object?.members ?? []).prefix(64).reduce(into: [:]) { all, member in
            if Self.shared.contains(member.name) { all[member.name] = .some(Self.text(member.value)) }
        }
    }

    private static func text(_ value: JSONValue?) -> String? {
        guard let text = value?.string, text.utf8.count <= 300,
            text.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control && $0 != "\u{2028}" })
        else { return nil }
        return text
    }
}
