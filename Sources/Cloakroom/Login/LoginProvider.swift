/// An identity provider, as far as the routes of login and logout need one. `RelyingParty` in `CloakroomOIDC` is one.
public protocol LoginProvider: Sendable {
    /// Begins a login with these secrets.
    ///
    /// - Returns: where to send the browser.
    /// - Throws: ``OIDCError`` when the provider can't be asked.
    func authorizationURL(for pending: PendingLogin) async throws(OIDCError) -> String

    /// Ends a login: checks what the provider sent the browser back with, and fetches who the user is.
    ///
    /// Make sure that this is done once for each `pending`.
    ///
    /// - Throws: ``OIDCError``.
    func finishLogin(_ response: AuthorizationResponse, pending: PendingLogin) async throws(OIDCError) -> LoginResult

    /// Where to send the browser so that the provider ends its session too; `nil` if there is no such address.
    ///
    /// - Parameters:
    ///   - idToken: the ended session's ID token, which spares the user a question.
    ///   - state: comes back with the browser, unguessable; `nil` leaves it out.
    /// - Throws: ``OIDCError`` when the provider can't be asked.
    func logoutURL(idToken: String?, state: String?) async throws(OIDCError) -> String?

    /// The public keys with which the provider checks what this client has signed, as a JWK set (RFC 7517 §5).
    var clientKeys: JSONObject { get }
}

extension LoginProvider {
    /// None: the client signs nothing.
    public var clientKeys: JSONObject { ["keys": []] }
}
