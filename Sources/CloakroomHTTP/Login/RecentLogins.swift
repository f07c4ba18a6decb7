import Cloakroom
import Crypto

import struct Foundation.Date

/// The logins that a browser has just begun, kept in a cookie of its own for seconds: to stop a page and the provider from sending
/// it round in circles. No server keeps anything, and whoever forges the cookie stops nobody but that browser, until the cookie
/// ends.
///
/// Only logins that return to the same address make a loop: a browser that restores fifty tabs begins fifty logins at once.
///
/// Each login is three characters for the return address and its time in milliseconds, in base 36: `a1BmI3x7k2p.…`.
struct RecentLogins {
    /// More logins than this to one address within ``window`` are a loop.
    static let maximumCount = 5
    /// In seconds.
    static let window = 5
    /// How many are remembered, so that several tabs may go round at once.
    private static let capacity = 20
    private static let addressLength = 3
    /// The longest value of the cookie that is looked at.
    static let maximumLength = capacity * 16

    private struct Login {
        let address: Substring
        /// In milliseconds of the Unix time.
        let time: Int
    }

    private let logins: [Login]

    /// - Parameter text: the cookie's value; whatever is not one of ours counts for nothing.
    init(_ text: String?, at now: Date = Date()) {
        guard let text, text.utf8.count <= Self.maximumLength else {
            logins = []
            return
        }
        let now = Self.milliseconds(now)
        logins = text.split(separator: ".").suffix(Self.capacity).compactMap { part in
            guard let time = Int(part.dropFirst(Self.addressLength), radix: 36),
                // Replicas' clocks may differ a little.
                time > now - Self.window * 1000, time < now + Self.window * 1000
            else { return nil }
            return Login(address: part.prefix(Self.addressLength), time: time)
        }
    }

    /// The cookie's value with a login that begins now; `nil` when that is one too many.
    func adding(_ address: ReturnAddress, at now: Date = Date()) -> String? {
        let digest = Array(SHA256.hash(data: Array(address.path.utf8)).prefix(Self.addressLength))
        let name = Base64URL.encode(digest).prefix(Self.addressLength)
        guard logins.count(where: { $0.address == name }) < Self.maximumCount else { return nil }
        let all = logins.suffix(Self.capacity - 1) + [Login(address: name, time: Self.milliseconds(now))]
        return all.map { "\($0.address)\(String($0.time, radix: 36))" }.joined(separator: ".")
    }

    private static func milliseconds(_ date: Date) -> Int { Int(date.timeIntervalSince1970 * 1000) }
}
