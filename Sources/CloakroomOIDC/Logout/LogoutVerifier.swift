public import Cloakroom

import struct Foundation.Date
import struct Foundation.URLComponents

/// Verifies logout tokens of one or several providers (OpenID Connect Back-Channel Logout §2.6).
public struct LogoutVerifier: ProviderLogouts {
    private let parties: @Sendable (_ issuer: String) -> [RelyingParty]

    /// Makes a verifier for one provider.
    public init(_ party: RelyingParty) {
        self.init { sameBytes($0, party.issuer) ? [party] : [] }
    }

    /// Makes a verifier for several providers.
    ///
    /// - Parameter parties: the relying parties of an issuer, which are several where this app is registered there more than
    ///   once. It is asked with what an unverified token says, and must compare it byte by byte.
    public init(parties: @escaping @Sendable (_ issuer: String) -> [RelyingParty]) { self.parties = parties }

    public func verify(logoutToken text: String) async throws(OIDCError) -> ProviderLogout {
        let token = try LogoutToken.asLogoutToken { () throws(OIDCError) in try SignedToken(text) }
        // Not verified yet: it only says whose keys to verify it with.
        guard let issuer = token.claims["iss"]?.string else { throw LogoutToken.invalid("its issuer is missing") }
        let parties = parties(issuer)
        let audiences = try LogoutToken.asLogoutToken { () throws(OIDCError) in
            try IDToken.audiences(of: token.claims)
        }
        guard
            let party = parties.first(where: { audiences.containsBytes(of: $0.configuration.clientID) })
                ?? parties.first
        else { throw LogoutToken.invalid("its issuer is none of this app's providers") }
        return try await party.verify(logoutToken: token)
    }

    public func pageOrigins(ofIssuer issuer: String) async -> [String]? {
        let parties = parties(issuer)
        guard !parties.isEmpty else { return nil }
        var origins: [String] = []
        for party in parties {
            for origin in await party.pageOrigins() where !origins.contains(origin) { origins.append(origin) }
        }
        return origins
    }
}

extension RelyingParty {
    func verify(logoutToken token: SignedToken) async throws(OIDCError) -> ProviderLogout {
        do throws(OIDCError) {
            try await checkSignature(of: token)
        } catch {
            throw LogoutToken.asLogoutToken(error)
        }
        return try LogoutToken(token, configuration: configuration, now: Date()).logout
    }

    /// Where the provider's pages are: at its issuer, and where its logout page is if that is elsewhere.
    func pageOrigins() async -> [String] {
        let logoutPage = try? await metadata.current().value.endSessionEndpoint
        return [configuration.issuer, logoutPage].compactMap { $0.flatMap(Self.origin) }
    }

    /// The origin of an address, in the form that `Content-Security-Policy` takes; `nil` for what would be more than one
    /// source there.
    static func origin(of address: String) -> String? {
        guard let parts = URLComponents(string: address), let scheme = parts.scheme?.lowercased(),
            ["http", "https"].contains(scheme), let host = parts.percentEncodedHost?.lowercased(), !host.isEmpty,
            host.utf8.allSatisfy(isHostByte)
        else { return nil }
        return "\(scheme)://\(host)" + (parts.port.map { ":\($0)" } ?? "")
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
            UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"):
            true
        default: false
        }
    }
}
