import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// All that the provider remembers: sessions, codes, grants. In memory, bounded, one lock.
final class ProviderState: Sendable {
    private struct Tables {
        var sessions = ExpiringTable<SSOSession>(capacity: 10_000)
        var codes = ExpiringTable<AuthorizationCode>(capacity: 10_000)
        var grants = ExpiringTable<Grant>(capacity: 10_000)

        mutating func endSession(sid: String) -> Set<String> {
            sessions.remove(sid)
            let clients = Set(grants.values { $0.session.sid == sid }.map(\.clientID))
            grants.removeAll { $0.session.sid == sid }
            return clients
        }

        mutating func store(_ grant: Grant, accessTokenLifetime: Duration, now: Date) {
            // Outlives the refresh token if the access token does, since UserInfo asks whether the grant still stands.
            let expires = max(grant.refreshExpires, now.adding(accessTokenLifetime))
            grants.set(grant.id, grant, expires: expires, now: now)
        }
    }

    // How long a used code is remembered, so that its second use is seen as theft.
    private static let usedCodeMemory = Duration.seconds(600)
    private let tables = Mutex(Tables())
    private let refreshTokens = RefreshTokenFormat()
    private let configuration: DevIdentityProvider.Configuration

    init(configuration: DevIdentityProvider.Configuration) {
        self.configuration = configuration
    }

    // MARK: Sessions

    func beginSession(username: String) -> SSOSession {
        let now = configuration.now()
        let session = SSOSession(
            sid: UUID().uuidString.lowercased(), secret: Secrets.random(), username: username, authTime: now,
            expires: now.adding(configuration.sessionLifetime))
        tables.withLock { $0.sessions.set(session.sid, session, expires: session.expires, now: now) }
        return session
    }

    /// The session that a cookie proves.
    func session(cookieValue: String) -> SSOSession? {
        let parts = cookieValue.split(separator: ".")
        guard parts.count == 2 else { return nil }
        let now = configuration.now()
        guard let session = tables.withLock({ $0.sessions.value(String(parts[0]), now: now) }),
            Secrets.equal(session.secret, String(parts[1]))
        else { return nil }
        return session
    }

    /// Ends a session and everything that was granted in it.
    ///
    /// - Returns: the clients that something was granted to.
    @discardableResult
    func endSession(sid: String) -> Set<String> {
        tables.withLock { $0.endSession(sid: sid) }
    }

    // MARK: Codes

    func issueCode(for request: AuthorizationRequest, session: SSOSession) -> String {
        let now = configuration.now()
        let text = Secrets.random()
        let code = AuthorizationCode(
            clientID: request.client.id, redirectURI: request.redirectURI, codeChallenge: request.codeChallenge,
            nonce: request.nonce, scope: request.scope, session: session,
            expires: now.adding(configuration.codeLifetime))
        tables.withLock {
            $0.codes.set(text, code, expires: code.expires.adding(Self.usedCodeMemory), now: now)
        }
        return text
    }

    /// Redeems a code, once. A second use ends the grant of the first (RFC 6749 §4.1.2).
    func redeem(code text: String, clientID: String, redirectURI: String, verifier: String) -> Redemption? {
        let now = configuration.now()
        return tables.withLock { tables in
            guard var code = tables.codes.value(text, now: now), code.clientID == clientID else { return nil }
            defer { tables.codes.set(text, code, expires: code.expires.adding(Self.usedCodeMemory), now: now) }
            switch code.use {
            case .spoiled:
                return nil
            case .redeemed(let grantID):
                tables.grants.remove(grantID)
                return nil
            case .open:
                break
            }
            guard code.expires > now, code.redirectURI == redirectURI,
                Secrets.equal(Secrets.sha256(verifier), code.codeChallenge),
                tables.sessions.value(code.session.sid, now: now) != nil
            else {
                code.use = .spoiled
                return nil
            }
            let grant = Grant(
                id: UUID().uuidString.lowercased(), clientID: clientID, scope: code.scope, session: code.session,
                refreshExpires: refreshExpiry(session: code.session, now: now))
            code.use = .redeemed(grantID: grant.id)
            tables.store(grant, accessTokenLifetime: configuration.accessTokenLifetime, now: now)
            return Redemption(grant: grant, refreshToken: refreshTokens.token(for: grant), nonce: code.nonce)
        }
    }

    // MARK: Grants

    /// Exchanges a refresh token for the next one. A token that was used before ends its grant (RFC 9700 §4.14.2).
    func rotate(refreshToken: String, clientID: String, scope: Scope?) -> Rotation {
        guard let (grantID, generation) = refreshTokens.read(refreshToken) else { return .invalid }
        let now = configuration.now()
        return tables.withLock { tables in
            guard var grant = tables.grants.value(grantID, now: now), grant.clientID == clientID,
                grant.refreshExpires > now, tables.sessions.value(grant.session.sid, now: now) != nil
            else { return .invalid }
            guard generation == grant.generation else {
                tables.grants.remove(grantID)
                return .invalid
            }
            if let scope, !scope.isSubset(of: grant.scope) || !scope.contains("openid") {
                return .scopeNotGranted
            }
            grant.generation += 1
            grant.refreshExpires = refreshExpiry(session: grant.session, now: now)
            tables.store(grant, accessTokenLifetime: configuration.accessTokenLifetime, now: now)
            return .rotated(Redemption(grant: grant, refreshToken: refreshTokens.token(for: grant), nonce: nil))
        }
    }

    /// Whether access tokens of this grant still count here.
    func grantStands(_ id: String) -> Bool {
        let now = configuration.now()
        return tables.withLock { $0.grants.value(id, now: now) != nil }
    }

    private func refreshExpiry(session: SSOSession, now: Date) -> Date {
        min(now.adding(configuration.refreshTokenLifetime), session.expires)
    }

    /// What the token endpoint turns into tokens.
    struct Redemption: Sendable {
        let grant: Grant
        let refreshToken: String
        let nonce: String?
    }

    enum Rotation: Sendable {
        case rotated(Redemption)
        case scopeNotGranted
        case invalid
    }
}
