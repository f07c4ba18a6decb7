import Cloakroom

import struct Foundation.Date

/// What commands say of a session.
enum SessionText {
    /// A browser and a system, as far as they can be recognised; else how the client's name for itself begins.
    static func device(_ userAgent: String?) -> String {
        guard let userAgent, !userAgent.isEmpty else { return "-" }
        let browsers = [
            ("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("SamsungBrowser/", "Samsung Internet"),
            ("Chrome/", "Chrome"), ("Safari/", "Safari"),
        ]
        let systems = [
            ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"),
            ("Mac OS X", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux"),
        ]
        let system = systems.first { userAgent.contains($0.0) }?.1
        guard let browser = browsers.first(where: { userAgent.contains($0.0) })?.1 else {
            return String(userAgent.prefix(24))
        }
        return system.map { "\(browser), \($0)" } ?? browser
    }

    /// `2026-11-27 10:00:00`, in UTC.
    static func time(_ date: Date) -> String { Timestamp.format(date).replacing("T", with: " ") }

    /// The two largest units.
    static func duration(_ seconds: Double) -> String {
        var rest = Int(max(0, seconds))
        var parts: [String] = []
        for (unit, size) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
            if rest >= size || (size == 1 && parts.isEmpty) { parts.append("\(rest / size)\(unit)") }
            rest %= size
        }
        return parts.prefix(2).joined(separator: " ")
    }

    static func user(_ summary: SessionSummary) -> String { summary.userName ?? summary.subject ?? "-" }

    /// A session as `--json` shows it: all members are always there.
    static func object(_ summary: SessionSummary) -> JSONObject {
        func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
        func time(_ date: Date?) -> JSONValue { date.map { .string(Timestamp.format($0) + "Z") } ?? .null }
        return [
            "handle": .string(summary.handle.description), "sub": text(summary.subject),
            "name": text(summary.userName), "issuer": text(summary.issuer),
            "provider_session": text(summary.providerSessionID), "created_at": time(summary.createdAt),
            "expires_at": time(summary.expiresAt), "last_seen_at": time(summary.lastSeenAt),
            "user_agent": text(summary.client?.userAgent), "address": text(summary.client?.address),
        ]
    }

    static func json(_ object: JSONObject) -> String {
        String(decoding: JSONValue.object(object).serialized, as: UTF8.self)
    }
}
