import Cloakroom
import CloakroomGateway

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

    /// `2026-11-27 10:00`, in UTC.
    static func minute(_ date: Date) -> String { String(time(date).dropLast(3)) }

    /// `1 session`, `2 sessions`.
    static func sessions(_ count: Int) -> String { "\(count) session\(count == 1 ? "" : "s")" }

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

    /// JSON on one line. What a terminal would take for more than a sign to show is an escape there too.
    static func json(_ object: JSONObject) -> String {
        let text = String(decoding: JSONValue.object(object).serialized, as: UTF8.self)
        guard text.unicodeScalars.contains(where: LineLogHandler.isUnfit) else { return text }
        var out = ""
        for scalar in text.unicodeScalars {
            if LineLogHandler.isUnfit(scalar) {
                // Such characters stand in strings alone (RFC 8259 §7): one beyond U+FFFF is two escapes.
                for unit in String(scalar).utf16 {
                    let digits = String(unit, radix: 16)
                    out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                }
            } else {
                out.unicodeScalars.append(scalar)
            }
        }
        return out
    }
}
