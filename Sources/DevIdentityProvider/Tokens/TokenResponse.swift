/// What the token endpoint answers (RFC 6749 §5.1), with Keycloak's `refresh_expires_in`.
struct TokenResponse: Encodable {
    let accessToken: String
    let tokenType = "Bearer"
    let expiresIn: Int
    let refreshToken: String
    let refreshExpiresIn: Int
    let idToken: String
    let scope: String
    let sessionState: String

    enum CodingKeys: String, CodingKey {
        case accessToken = "access_token"
        case tokenType = "token_type"
        case expiresIn = "expires_in"
        case refreshToken = "refresh_token"
        case refreshExpiresIn = "refresh_expires_in"
        case idToken = "id_token"
        case scope
        case sessionState = "session_state"
    }
}
