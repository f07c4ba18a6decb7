import Crypto
import JWTKit

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Turns a grant into signed tokens, and reads them back.
struct TokenMint: Sendable {
    let issuer: String
    let configuration: DevIdentityProvider.Configuration
    let signingKey: SigningKey

    func tokens(
        for redemption: ProviderState.Redemption, user: DevIdentityProvider.User, scope: Scope
    ) async throws -> TokenResponse {
        let now = configuration.now()
        let grant = redemption.grant
        let profile = ProfileClaims(user: user, scope: scope)
        let expires = now.adding(configuration.accessTokenLifetime).epochSeconds
        let accessToken = try await signingKey.sign(
            WithProfile(
                AccessTokenClaims(
                    iss: issuer, sub: user.subject, aud: configuration.accessTokenAudience, azp: grant.clientID,
                    exp: expires, iat: now.epochSeconds, jti: UUID().uuidString.lowercased(), sid: grant.session.sid,
                    grantID: grant.id, scope: scope.text, realmAccess: .init(roles: user.roles)),
                profile))
        let idToken = try await signingKey.sign(
            WithProfile(
                IDTokenClaims(
                    iss: issuer, sub: user.subject, aud: grant.clientID, azp: grant.clientID, exp: expires,
                    iat: now.epochSeconds, authTime: grant.session.authTime.epochSeconds,
                    jti: UUID().uuidString.lowercased(), nonce: redemption.nonce, sid: grant.session.sid,
                    atHash: Self.atHash(accessToken)),
                profile))
        return TokenResponse(
            accessToken: accessToken, expiresIn: expires - now.epochSeconds, refreshToken: redemption.refreshToken,
            refreshExpiresIn: max(0, grant.refreshExpires.epochSeconds - now.epochSeconds), idToken: idToken,
            scope: scope.text, sessionState: grant.session.sid)
    }

    /// - Returns: `nil` for anything but an access token of this provider whose time is not over.
    func readAccessToken(_ text: String) async -> AccessTokenClaims? {
        guard let claims = await read(text, as: AccessTokenClaims.self), claims.typ == "Bearer",
            claims.iss == issuer, claims.exp > configuration.now().epochSeconds
        else { return nil }
        return claims
    }

    /// Reads an ID token that came as `id_token_hint`; it may have expired (RP-Initiated Logout 1.0 §2).
    func readIDTokenHint(_ text: String) async -> IDTokenClaims? {
        guard let claims = await read(text, as: IDTokenClaims.self), claims.typ == "ID", claims.iss == issuer else {
            return nil
        }
        return claims
    }

    private func read<Claims: Codable & Sendable>(_ text: String, as _: Claims.Type) async -> Claims? {
        try? await signingKey.keys.verify(text, as: WithProfile<Claims>.self).claims
    }

    /// The left half of the access token's SHA-256 (Core §3.1.3.6).
    private static func atHash(_ accessToken: String) -> String {
        Secrets.base64URL(SHA256.hash(data: Array(accessToken.utf8)).prefix(16))
    }
}
