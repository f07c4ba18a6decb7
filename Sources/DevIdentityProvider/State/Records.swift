#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A browser that is signed in here.
struct SSOSession: Sendable {
    /// The `sid` claim; no secret.
    let sid: String
    /// What the cookie must bring beside the `sid`.
    let secret: String
    let username: String
    let authTime: Date
    let expires: Date

    var cookieValue: String { "\(sid).\(secret)" }
}

/// An authorization code that was handed out.
struct AuthorizationCode: Sendable {
    let clientID: String
    let redirectURI: String
    let codeChallenge: String
    let nonce: String?
    let scope: Scope
    let session: SSOSession
    let expires: Date
    var use = Use.open

    enum Use: Sendable {
        case open
        /// Tried with a wrong verifier or redirect_uri: worth nothing any more.
        case spoiled
        case redeemed(grantID: String)
    }
}

/// What a redeemed code stands for: all access and refresh tokens that descend from it.
struct Grant: Sendable {
    let id: String
    let clientID: String
    let scope: Scope
    let session: SSOSession
    /// The number of the one refresh token that is good; any lower one was used before.
    var generation = 1
    var refreshExpires: Date
}
