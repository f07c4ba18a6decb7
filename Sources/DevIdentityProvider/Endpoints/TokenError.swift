import HTTPTypes
import Hummingbird

/// An error of the token endpoint (RFC 6749 §5.2).
struct TokenError: Error, Encodable {
    private let code: String
    private let description: String
    private var status: HTTPResponse.Status = .badRequest
    private var challenge = false

    enum CodingKeys: String, CodingKey {
        case code = "error"
        case description = "error_description"
    }

    init(_ code: String, _ description: String) {
        self.code = code
        self.description = description
    }

    /// - Parameter challenge: whether the client tried the `Authorization` header, which wants a challenge back.
    static func invalidClient(challenge: Bool) -> TokenError {
        var error = TokenError("invalid_client", "The client is not known or its secret is wrong")
        error.status = .unauthorized
        error.challenge = challenge
        return error
    }

    /// One answer for all reasons, so that it tells an attacker nothing.
    static let invalidGrant = TokenError(
        "invalid_grant", "The code or refresh token is unknown, used, expired or not for this request")

    func response() throws -> Response {
        var response = try Response.json(self, status: status)
        if challenge {
            response.headers[.wwwAuthenticate] = "Basic realm=\"token\", charset=\"UTF-8\""
        }
        return response
    }
}
