import Cloakroom

/// What the token endpoint granted (RFC 6749 §5.1, OpenID Connect Core §3.1.3.3).
struct TokenResponse: Sendable {
    static let largestBody = 256 * 1024
    static let longestToken = 64 * 1024
    /// Ten years; what is said to live longer is taken to live this long.
    static let longestLife = 315_360_000

    let accessToken: String
    let refreshToken: String?
    let idToken: String?
    let expiresIn: Int?
    let refreshExpiresIn: Int?

    /// Reads an answer of the token endpoint.
    ///
    /// - Throws: what the provider refused, too.
    init(_ response: ProviderHTTP.Response) throws(OIDCError) {
        guard response.status == 200 else { throw Self.refusal(response, name: "the token endpoint") }
        guard let object = response.object else { throw Self.invalid("is not a JSON object") }
        guard object["token_type"]?.string?.lowercased() == "bearer" else { throw Self.invalid("has no bearer token") }
        guard let accessToken = try Self.token("access_token", of: object) else {
            throw Self.invalid("lacks access_token")
        }
        self.accessToken = accessToken
        refreshToken = try Self.token("refresh_token", of: object)
        idToken = try Self.token("id_token", of: object)
        expiresIn = try Self.seconds("expires_in", of: object)
        refreshExpiresIn = try Self.seconds("refresh_expires_in", of: object)
    }

    /// The tokens as a session keeps them.
    var tokenSet: TokenSet {
        TokenSet(
            accessToken: accessToken, refreshToken: refreshToken, idToken: idToken, expiresIn: expiresIn,
            refreshExpiresIn: refreshExpiresIn)
    }

    private static func invalid(_ reason: String) -> OIDCError {
        OIDCError(.invalidResponse, reason: "the token endpoint's answer \(reason)")
    }

    /// What an answer other than the one hoped for means, of an endpoint at which the client authenticates (RFC 6749 §5.2).
    ///
    /// Only a client error in JSON can say that a grant is over: a failing server or a proxy's page never ends a session.
    static func refusal(_ response: ProviderHTTP.Response, name: String) -> OIDCError {
        let unexpected = ProviderHTTP.unexpectedStatus(response.status, name: name)
        guard (400..<500).contains(response.status), unexpected.code != .providerUnavailable else { return unexpected }
        guard let error = response.object?["error"]?.string else {
            guard response.status == 401 else { return unexpected }
            return OIDCError(.clientRejected, reason: "\(name) answered 401")
        }
        let reason = "\(name) answered \(response.status) with \(safeErrorCode(error))"
        return switch error {
        case "invalid_grant": OIDCError(.invalidGrant, reason: reason)
        case "invalid_client", "unauthorized_client": OIDCError(.clientRejected, reason: reason)
        case "temporarily_unavailable", "server_error", "slow_down": OIDCError(.providerUnavailable, reason: reason)
        default: OIDCError(.invalidResponse, reason: reason)
        }
    }

    private static func token(_ name: String, of object: JSONObject) throws(OIDCError) -> String? {
        switch object[name] {
        case nil, .null?: return nil
        case .string(let token)? where (1...longestToken).contains(token.utf8.count) && token.isVisibleASCII:
            return token
        default: throw invalid("has an unfit \(name)")
        }
    }

    /// A life in seconds; some providers write the number as a string.
    private static func seconds(_ name: String, of object: JSONObject) throws(OIDCError) -> Int? {
        let seconds: Int? =
            switch object[name] {
            case nil, .null?: nil
            case .number(let digits)?: lifetime(digits)
            case .string(let digits)? where digits.utf8.count <= 20: lifetime(digits)
            default: -1
            }
        if let seconds, seconds < 0 { throw invalid("has an unfit \(name)") }
        return seconds
    }

    /// Whole seconds of a number, capped at ``longestLife``; negative when it is no number.
    private static func lifetime(_ digits: String) -> Int {
        guard let seconds = Double(digits), seconds.isFinite, seconds >= 0 else { return -1 }
        return Int(min(seconds, Double(longestLife)))
    }
}
