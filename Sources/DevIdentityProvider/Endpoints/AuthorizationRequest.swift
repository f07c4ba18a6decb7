/// A checked authorization request (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1, RFC 7636 §4.3).
struct AuthorizationRequest: Sendable {
    let client: DevIdentityProvider.Client
    let redirectURI: String
    let state: String?
    let scope: Scope
    let nonce: String?
    let codeChallenge: String
    let prompt: Set<String>
    /// Seconds since the login after which the password is asked for again.
    let maxAge: Int?
    let loginHint: String?

    /// What is wrong with a request, and who may be told.
    enum Fault: Error {
        /// The client or its address isn't known: the user sees a page, and nobody is redirected (RFC 6749 §4.1.2.1).
        case page(String)
        case redirect(error: String, description: String, redirectURI: String, state: String?)
    }

    init(query: String, clients: [DevIdentityProvider.Client]) throws(Fault) {
        guard let parameters = FormParameters(query) else {
            throw .page("The application sent a request that can't be read.")
        }
        guard !parameters.repeated.contains("client_id"), let clientID = parameters["client_id"],
            let client = clients.first(where: { $0.id == clientID })
        else {
            throw .page("This application is not known here: its client_id is missing or wrong.")
        }
        guard !parameters.repeated.contains("redirect_uri"), let redirectURI = parameters["redirect_uri"],
            client.redirectURIs.contains(redirectURI)
        else {
            throw .page("The application's redirect_uri is not registered. It must match to the letter.")
        }
        self.client = client
        self.redirectURI = redirectURI
        let state = parameters.repeated.contains("state") ? nil : parameters["state"]
        self.state = state

        func fault(_ error: String, _ description: String) -> Fault {
            .redirect(error: error, description: description, redirectURI: redirectURI, state: state)
        }
        guard parameters.repeated.isEmpty else {
            throw fault("invalid_request", "A parameter came more than once")
        }
        guard parameters["request"] == nil else {
            throw fault("request_not_supported", "Request objects are not supported")
        }
        guard parameters["request_uri"] == nil else {
            throw fault("request_uri_not_supported", "Request objects are not supported")
        }
        guard parameters["response_type"] == "code" else {
            throw fault("unsupported_response_type", "Only response_type=code is supported")
        }
        guard (parameters["response_mode"] ?? "query") == "query" else {
            throw fault("invalid_request", "Only response_mode=query is supported")
        }
        scope = Scope(parameters["scope"] ?? "")
        guard scope.contains("openid") else {
            throw fault("invalid_scope", "The scope must have openid")
        }
        guard let codeChallenge = parameters["code_challenge"], parameters["code_challenge_method"] == "S256" else {
            throw fault("invalid_request", "PKCE with code_challenge_method=S256 is required")
        }
        guard codeChallenge.utf8.count == 43, codeChallenge.utf8.allSatisfy(PKCE.isBase64URL) else {
            throw fault("invalid_request", "The code_challenge is not a base64url SHA-256")
        }
        self.codeChallenge = codeChallenge
        nonce = parameters["nonce"]
        loginHint = parameters["login_hint"]
        prompt = Set((parameters["prompt"] ?? "").split(separator: " ").map(String.init))
        guard !prompt.contains("none") || prompt.count == 1 else {
            throw fault("invalid_request", "prompt=none stands alone")
        }
        maxAge = parameters["max_age"].flatMap { Int($0) }
        guard parameters["max_age"] == nil || (maxAge ?? -1) >= 0 else {
            throw fault("invalid_request", "max_age is not a number of seconds")
        }
    }
}

/// The rules for a code verifier (RFC 7636 §4.1).
enum PKCE {
    static func isVerifier(_ text: String) -> Bool {
        (43...128).contains(text.utf8.count)
            && text.utf8.allSatisfy { isBase64URL($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "~") }
    }

    static func isBase64URL(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default:
            false
        }
    }
}
