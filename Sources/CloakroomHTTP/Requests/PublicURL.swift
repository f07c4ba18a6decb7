import Cloakroom
import Foundation

/// Where browsers reach the app: a scheme, a host and perhaps a port, such as `https://app.example.com`.
///
/// Plain `http` is allowed on this machine alone (`localhost`, `127.0.0.1`, `[::1]`), as everywhere else it would carry
/// the session cookie in the clear.
public struct PublicURL: Sendable, Equatable, CustomStringConvertible {
    /// Whether browsers use https.
    public let isSecure: Bool
    /// The host in lower case, IPv6 addresses in brackets.
    public let host: String
    /// The port, if it is not the scheme's own.
    public let port: Int?

    /// Reads a public URL.
    ///
    /// - Parameter text: `https://HOST[:PORT]`, or `http://` on this machine; a final `/` may stand there, a path may not,
    ///   as cookies named `__Host-…` belong to a whole host.
    /// - Returns: `nil` when it is anything else.
    public init?(_ text: String) {
        guard text.utf8.count <= 300, let parts = URLComponents(string: text), let scheme = parts.scheme?.lowercased(),
            let host = parts.percentEncodedHost?.lowercased(), !host.isEmpty, !host.contains("%"),
            parts.user == nil, parts.password == nil, parts.query == nil, parts.fragment == nil,
            parts.path.isEmpty || parts.path == "/", parts.port.map({ (1...65_535).contains($0) }) ?? true
        else { return nil }
        switch scheme {
        case "https": isSecure = true
        case "http" where LoopbackHost.contains(host): isSecure = false
        default: return nil
        }
        self.host = host
        self.port = parts.port == (isSecure ? 443 : 80) ? nil : parts.port
    }

    /// `http` or `https`.
    public var scheme: String { isSecure ? "https" : "http" }
    /// Host and port as in a `Host` field.
    public var authority: String { port.map { "\(host):\($0)" } ?? host }
    /// The origin (RFC 6454 §6.1), without a final `/`.
    public var origin: String { "\(scheme)://\(authority)" }
    public var description: String { origin }

    /// Whether a `Host` field is another name of this machine with the same port as ours. A browser that came that way has
    /// its cookies under that other name, so a login that began there could not end here.
    func isOtherLoopbackName(_ authority: String?) -> Bool {
        guard LoopbackHost.contains(host), let authority = authority?.lowercased(), authority != self.authority else {
            return false
        }
        guard let port else { return LoopbackHost.contains(authority) }
        let suffix = ":\(port)"
        return authority.hasSuffix(suffix) && LoopbackHost.contains(authority.dropLast(suffix.utf8.count))
    }
}
