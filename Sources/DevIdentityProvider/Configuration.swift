#if canImport(FoundationEssentials)
package import FoundationEssentials
#else
package import Foundation
#endif

extension DevIdentityProvider {
    /// An application that may send its users here.
    public struct Client: Sendable {
        /// The `client_id`.
        public var id: String
        /// The `client_secret`; `nil` for a public client, which proves itself by PKCE alone.
        public var secret: String?
        /// Where codes may be sent; compared to the letter (RFC 9700 §2.1).
        public var redirectURIs: [String]
        /// Where a browser may be sent after logout; compared to the letter.
        public var postLogoutRedirectURIs: [String]

        /// Where the client wants to be told of logouts (OpenID Connect Back-Channel Logout §2.2); `nil` for nowhere.
        public var backchannelLogoutURI: String?

        /// Makes a client.
        public init(
            id: String, secret: String?, redirectURIs: [String], postLogoutRedirectURIs: [String] = [],
            backchannelLogoutURI: String? = nil
        ) {
            self.id = id
            self.secret = secret
            self.redirectURIs = redirectURIs
            self.postLogoutRedirectURIs = postLogoutRedirectURIs
            self.backchannelLogoutURI = backchannelLogoutURI
        }
    }

    /// Somebody who can log in.
    public struct User: Sendable {
        /// The `sub` claim: never changes, also when the name does.
        public var subject: String
        /// What is typed into the login form, and the `preferred_username` claim.
        public var username: String
        /// The password, in the clear: this provider is for development.
        public var password: String
        /// The `given_name` claim.
        public var givenName: String
        /// The `family_name` claim.
        public var familyName: String
        /// The `email` claim.
        public var email: String
        /// The roles in the access token's `realm_access.roles`.
        public var roles: [String]

        /// Makes a user.
        public init(
            subject: String, username: String, password: String, givenName: String, familyName: String, email: String,
            roles: [String] = []
        ) {
            self.subject = subject
            self.username = username
            self.password = password
            self.givenName = givenName
            self.familyName = familyName
            self.email = email
            self.roles = roles
        }

        /// `admin` with the password `test`, who has the roles `admin` and `user`.
        public static let admin = User(
            subject: "5d3a1c52-8b0e-4c53-9f0a-6d1f3f2a7b10", username: "admin", password: "test",
            givenName: "Ada", familyName: "Admin", email: "admin@example.com", roles: ["admin", "user"])
        /// `user` with the password `test`, who has the role `user`.
        public static let user = User(
            subject: "b7e0c9d4-2f61-4a7e-8c35-1e9d54c0a826", username: "user", password: "test",
            givenName: "Uma", familyName: "User", email: "user@example.com", roles: ["user"])
    }

    /// How a provider listens, whom it knows and how long things live.
    public struct Configuration: Sendable {
        /// A loopback address: in 127.0.0.0/8, `::1`, or `localhost`, which means 127.0.0.1.
        public var host: String
        /// The port; 0 for any free one.
        public var port: Int
        /// The issuer; `nil` for `http://localhost:PORT` with the real port.
        public var issuer: String?
        /// The applications that may send users here.
        public var clients: [Client]
        /// Who can log in.
        public var users: [User]
        /// The life of an access token and an ID token.
        public var accessTokenLifetime: Duration
        /// The life of a refresh token, counted anew at each refresh.
        public var refreshTokenLifetime: Duration
        /// The life of a single sign-on session, counted from the login; nothing outlives it.
        public var sessionLifetime: Duration
        /// The life of an authorization code.
        public var codeLifetime: Duration
        /// The `aud` of access tokens: the API that they are for.
        public var accessTokenAudience: String
        /// How long a wrong password holds up the answer. This slows guessing down; it is no real protection.
        public var wrongPasswordDelay: Duration
        /// A line under the login form, such as which users there are.
        public var loginHint: String?
        /// The clock, so that a test can move it.
        package var now: @Sendable () -> Date = { Date() }

        /// Makes a configuration with Keycloak's lifetimes (access 300 s, refresh 1800 s, session 10 h) and the users
        /// ``User/admin`` and ``User/user``.
        public init(
            host: String = "127.0.0.1", port: Int, clients: [Client], accessTokenLifetime: Duration = .seconds(300),
            refreshTokenLifetime: Duration = .seconds(1800), issuer: String? = nil,
            users: [User] = [.admin, .user]
        ) {
            self.host = host
            self.port = port
            self.issuer = issuer
            self.clients = clients
            self.users = users
            self.accessTokenLifetime = accessTokenLifetime
            self.refreshTokenLifetime = refreshTokenLifetime
            self.sessionLifetime = .seconds(10 * 3600)
            self.codeLifetime = .seconds(60)
            self.accessTokenAudience = "account"
            self.wrongPasswordDelay = .milliseconds(500)
            self.loginHint = nil
        }
    }
}
