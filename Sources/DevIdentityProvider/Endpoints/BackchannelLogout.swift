import AsyncHTTPClient
import JWTKit
import Logging
import NIOCore
import NIOHTTP1

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The claims of a logout token (OpenID Connect Back-Channel Logout §2.4).
struct LogoutTokenClaims: JWTPayload {
    /// An event without details.
    struct Event: Codable, Sendable {}

    static let event = "http://schemas.openid.net/event/backchannel-logout"
    static let lifetime = Duration.seconds(120)

    let iss: String
    let sub: String
    let aud: String
    let exp: Int
    let iat: Int
    let jti: String
    let sid: String
    var events = [Self.event: Event()]

    func verify(using algorithm: some JWTAlgorithm) async throws {}
}

extension Provider {
    private static let backchannelTimeout = TimeAmount.seconds(5)

    /// Ends a session, and tells the clients that took part in it (Back-Channel Logout §2.5). Returns when they have answered
    /// or had time enough to.
    func endSession(_ session: SSOSession) async {
        await endSession(sid: session.sid, subject: user(session.username)?.subject)
    }

    /// The same for a session of which perhaps its name alone is known any more.
    func endSession(sid: String, subject: String?) async {
        let clients = state.endSession(sid: sid)
        guard let subject else { return }
        await withTaskGroup(of: Void.self) { group in
            for client in configuration.clients where clients.contains(client.id) {
                guard let address = client.backchannelLogoutURI else { continue }
                group.addTask { await self.tell(client, at: address, sid: sid, subject: subject) }
            }
        }
    }

    private func tell(_ client: DevIdentityProvider.Client, at address: String, sid: String, subject: String) async {
        do {
            let token = try await mint.logoutToken(for: client.id, sid: sid, subject: subject)
            var request = HTTPClientRequest(url: address)
            request.method = .POST
            request.headers.add(name: "content-type", value: "application/x-www-form-urlencoded")
            request.body = .bytes(ByteBuffer(string: "logout_token=\(token)"))
            let response = try await HTTPClient.shared.execute(request, timeout: Self.backchannelTimeout)
            guard response.status == .ok || response.status == .noContent else {
                return logger.warning(
                    "A client refused a logout token",
                    metadata: ["client": "\(client.id)", "status": "\(response.status.code)"])
            }
        } catch {
            logger.warning(
                "A client could not be told of a logout",
                metadata: ["client": "\(client.id)", "error": "\(type(of: error))"])
        }
    }
}

extension TokenMint {
    func logoutToken(for clientID: String, sid: String, subject: String) async throws -> String {
        let now = configuration.now()
        return try await signingKey.sign(
            LogoutTokenClaims(
                iss: issuer, sub: subject, aud: clientID, exp: now.adding(LogoutTokenClaims.lifetime).epochSeconds,
                iat: now.epochSeconds, jti: UUID().uuidString.lowercased(), sid: sid),
            type: "logout+jwt")
    }
}
