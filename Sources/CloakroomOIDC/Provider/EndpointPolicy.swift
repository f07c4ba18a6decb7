import Cloakroom

import struct Foundation.URLComponents

/// Which addresses this relying party sends credentials and browsers to.
///
/// `https` is required, but for the machine itself, for a provider whose configured issuer is `http` too, and for the
/// host from which discovery is fetched by `http` because the configuration says so.
struct EndpointPolicy: Sendable {
    static let longestURL = 2048

    private let allowsPlainEverywhere: Bool
    private let plainHost: String?

    init(_ configuration: OIDCConfiguration) {
        allowsPlainEverywhere = URLComponents(string: configuration.issuer)?.scheme?.lowercased() == "http"
        let discovery = configuration.discoveryURL.flatMap { URLComponents(string: $0) }
        plainHost = discovery?.scheme?.lowercased() == "http" ? discovery?.host?.lowercased() : nil
    }

    /// Whether tokens may travel unencrypted to another machine under this configuration.
    static func isPlain(_ url: String) -> Bool {
        guard let parts = URLComponents(string: url), let host = parts.host else { return false }
        return parts.scheme?.lowercased() == "http" && !LoopbackHost.contains(host)
    }

    /// Checks an address from the provider's metadata.
    ///
    /// - Parameter name: the metadata member, for the error.
    /// - Returns: the address as it was.
    func check(_ url: String, name: String) throws(OIDCError) -> String {
        guard let parts = Self.parts(of: url), let host = parts.host else {
            throw OIDCError(.invalidResponse, reason: "\(name) in the provider's metadata is not a usable URL")
        }
        switch parts.scheme?.lowercased() {
        case "https": return url
        case "http" where allowsPlainEverywhere || LoopbackHost.contains(host) || host.lowercased() == plainHost:
            return url
        default: throw OIDCError(.invalidResponse, reason: "\(name) in the provider's metadata is not https")
        }
    }

    /// Checks an address that the operator configured: any `http` or `https` URL.
    static func checkConfigured(_ url: String, name: String) throws(OIDCError) {
        guard let parts = parts(of: url), ["https", "http"].contains(parts.scheme?.lowercased()) else {
            throw OIDCError(.invalidResponse, reason: "the configured \(name) is not an http or https URL")
        }
    }

    /// The parts of an absolute URL without user, fragment or characters that a URL can't hold.
    private static func parts(of url: String) -> URLComponents? {
        guard (1...longestURL).contains(url.utf8.count), url.isVisibleASCII, !url.contains("\\"),
            let parts = URLComponents(string: url), let host = parts.host, !host.isEmpty,
            parts.user == nil, parts.password == nil, parts.fragment == nil
        else { return nil }
        return parts
    }
}
