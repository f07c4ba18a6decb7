import AsyncHTTPClient
import Cloakroom
import Foundation
import JWTKit
import Logging
import NIOCore
import NIOHTTP1
import Synchronization

/// Checks bearer tokens by the identity provider's published keys, as any API should.
final class BearerVerifier: Sendable {
    struct Claims: JWTPayload {
        struct RealmAccess: Codable, Sendable {
            let roles: [String]
        }

        let iss: String
        let sub: String
        let aud: AudienceClaim
        let exp: ExpirationClaim
        let typ: String?
        let azp: String?
        let preferred_username: String?
        let name: String?
        let email: String?
        let realm_access: RealmAccess?

        func verify(using algorithm: some JWTAlgorithm) async throws {
            try exp.verifyNotExpired()
        }
    }

    /// The token is missing or wrong. It doesn't say why, since that would go to the caller.
    struct Refusal: Error {}

    private struct Keys {
        var collection = JWTKeyCollection()
        var identifiers: Set<String> = []
        var fetched: ContinuousClock.Instant?
    }

    private struct Header: Decodable {
        let alg: String
        let kid: String
    }

    private struct Discovery: Decodable {
        let issuer: String
        let jwks_uri: String
    }

    private struct KeySet: Decodable {
        struct Key: Decodable {
            let kid: String
        }

        let keys: [Key]
    }

    // A token with an unknown key must not make us ask the identity provider each time.
    private static let refetchInterval = Duration.seconds(10)
    private static let maximumTokenLength = 16 * 1024

    private let issuer: String
    private let audience: String
    private let client: HTTPClient
    private let logger: Logger
    private let keys = Mutex(Keys())

    init(issuer: String, audience: String, client: HTTPClient, logger: Logger) {
        self.issuer = issuer
        self.audience = audience
        self.client = client
        self.logger = logger
    }

    /// - Parameter authorization: the request's `Authorization` header.
    /// - Throws: ``Refusal``, or another error when the keys can't be fetched.
    func verify(authorization: String?) async throws -> Claims {
        let parts = (authorization ?? "").split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer", parts[1].utf8.count <= Self.maximumTokenLength,
            let header = Base64URL.decode(parts[1].prefix { $0 != "." }),
            let fields = try? JSONDecoder().decode(Header.self, from: Data(header)), fields.alg == "RS256"
        else { throw Refusal() }
        guard let collection = try await collection(for: fields.kid) else { throw Refusal() }
        guard let claims = try? await collection.verify(String(parts[1]), as: Claims.self), claims.iss == issuer,
            claims.aud.value.contains(audience), claims.typ == "Bearer"
        else { throw Refusal() }
        return claims
    }

    /// The keys, fetched once and again when a token names one that we don't have.
    private func collection(for kid: String) async throws -> JWTKeyCollection? {
        let (known, mayFetch) = keys.withLock { keys in
            let known = keys.identifiers.contains(kid) ? keys.collection : nil
            return (known, keys.fetched.map { ContinuousClock.now - $0 > Self.refetchInterval } ?? true)
        }
        if let known {
            return known
        }
        guard mayFetch else { return nil }
        let discovery = try JSONDecoder().decode(
            Discovery.self, from: try await get(issuer + "/.well-known/openid-configuration"))
        guard discovery.issuer == issuer else { throw Refusal() }
        let body = try await get(discovery.jwks_uri)
        let identifiers = Set(try JSONDecoder().decode(KeySet.self, from: body).keys.map(\.kid))
        let collection = JWTKeyCollection()
        try await collection.add(jwksJSON: String(decoding: body, as: UTF8.self))
        let fetched = Keys(collection: collection, identifiers: identifiers, fetched: .now)
        keys.withLock { $0 = fetched }
        return identifiers.contains(kid) ? collection : nil
    }

    private func get(_ url: String) async throws -> Data {
        let response = try await client.execute(HTTPClientRequest(url: url), timeout: .seconds(5), logger: logger)
        guard response.status == .ok else { throw DemoProblem(description: "\(url) answered \(response.status.code)") }
        return Data(try await response.body.collect(upTo: 256 * 1024).readableBytesView)
    }
}
