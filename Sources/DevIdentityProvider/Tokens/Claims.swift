import JWTKit

/// What a user's scopes tell about them.
struct ProfileClaims: Codable, Sendable {
    var name: String?
    var preferredUsername: String?
    var givenName: String?
    var familyName: String?
    var email: String?
    var emailVerified: Bool?

    enum CodingKeys: String, CodingKey {
        case name, email
        case preferredUsername = "preferred_username"
        case givenName = "given_name"
        case familyName = "family_name"
        case emailVerified = "email_verified"
    }

    init(user: DevIdentityProvider.User, scope: Scope) {
        if scope.contains("profile") {
            name = "\(user.givenName) \(user.familyName)"
            preferredUsername = user.username
            givenName = user.givenName
            familyName = user.familyName
        }
        if scope.contains("email") {
            email = user.email
            emailVerified = true
        }
    }
}

/// The claims that ID tokens have (OpenID Connect Core §2). `typ` keeps them apart from access tokens, as at Keycloak.
struct IDTokenClaims: Codable, Sendable {
    var typ = "ID"
    let iss: String
    let sub: String
    let aud: String
    let azp: String
    let exp: Int
    let iat: Int
    let authTime: Int
    let jti: String
    let nonce: String?
    let sid: String
    let atHash: String

    enum CodingKeys: String, CodingKey {
        case typ, iss, sub, aud, azp, exp, iat, jti, nonce, sid
        case authTime = "auth_time"
        case atHash = "at_hash"
    }
}

/// The claims that access tokens have: those of Keycloak, and the grant.
struct AccessTokenClaims: Codable, Sendable {
    struct RealmAccess: Codable, Sendable {
        let roles: [String]
    }

    var typ = "Bearer"
    let iss: String
    let sub: String
    let aud: String
    let azp: String
    let exp: Int
    let iat: Int
    let jti: String
    let sid: String
    /// Which grant it descends from, so that UserInfo refuses it when that has ended.
    let grantID: String
    let scope: String
    let realmAccess: RealmAccess

    enum CodingKeys: String, CodingKey {
        case typ, iss, sub, aud, azp, exp, iat, jti, sid, scope
        case grantID = "grant_id"
        case realmAccess = "realm_access"
    }
}

/// The claims that UserInfo has beside the profile (Core §5.3.2).
struct SubjectClaim: Codable, Sendable {
    let sub: String
}

/// Claims of one kind and a user's profile beside them in one JSON object.
struct WithProfile<Claims: Codable & Sendable>: JWTPayload {
    let claims: Claims
    let profile: ProfileClaims

    init(_ claims: Claims, _ profile: ProfileClaims) {
        self.claims = claims
        self.profile = profile
    }

    init(from decoder: any Decoder) throws {
        claims = try Claims(from: decoder)
        profile = try ProfileClaims(from: decoder)
    }

    func encode(to encoder: any Encoder) throws {
        try claims.encode(to: encoder)
        try profile.encode(to: encoder)
    }

    // The signature alone is checked here: an expired ID token still names the session that a logout means, and
    // UserInfo checks the time by the provider's clock.
    func verify(using algorithm: some JWTAlgorithm) async throws {}
}
