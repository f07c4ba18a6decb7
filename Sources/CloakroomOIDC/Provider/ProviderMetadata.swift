import Cloakroom

/// What the provider says of itself (OpenID Connect Discovery 1.0 §3, RFC 8705 §5, RFC 9126 §5, RFC 9207 §3).
struct ProviderMetadata: Sendable {
    /// Discovery documents are a few kilobytes.
    static let largestDocument = 256 * 1024

    /// An endpoint at which the client shows who it is.
    struct ClientEndpoint: Sendable {
        let url: String
        /// Where clients go that show a certificate, if that is elsewhere (RFC 8705 §5). To be checked by those that do.
        let mutualTLSURL: String?
    }

    /// The most algorithms that are looked at.
    private static let mostAlgorithms = 64

    let authorizationEndpoint: String
    let token: ClientEndpoint
    let jwksURI: String
    let userInfo: ClientEndpoint?
    let endSessionEndpoint: String?
    /// Where authorization requests can be pushed (RFC 9126 §5), and whether they must be.
    let pushedAuthorization: ClientEndpoint?
    let requiresPushedAuthorization: Bool
    /// What assertions may be signed with; `nil` if the provider does not say.
    let assertionAlgorithms: [String]?
    /// Whether every authorization response names its issuer.
    let sendsIssuerInResponse: Bool

    /// Reads and checks a discovery document.
    init(_ document: JSONObject, configuration: OIDCConfiguration) throws(OIDCError) {
        // Discovery §4.3: identical, or another provider could pose as this one.
        guard sameBytes(document["issuer"]?.string, configuration.issuer) else {
            throw OIDCError(
                .invalidResponse, reason: "the issuer in the provider's metadata is not the configured one")
        }
        let policy = EndpointPolicy(configuration)
        func endpoint(_ name: String) throws(OIDCError) -> String? {
            switch document[name] {
            case nil, .null?: return nil
            case .string(let url)?: return try policy.check(url, name: name)
            default:
                throw OIDCError(.invalidResponse, reason: "\(name) in the provider's metadata is not a string")
            }
        }
        func requiredEndpoint(_ name: String) throws(OIDCError) -> String {
            guard let url = try endpoint(name) else {
                throw OIDCError(.invalidResponse, reason: "the provider's metadata lacks \(name)")
            }
            return url
        }
        let aliases = document["mtls_endpoint_aliases"]?.object
        func clientEndpoint(_ name: String) throws(OIDCError) -> ClientEndpoint? {
            guard let url = try endpoint(name) else { return nil }
            return ClientEndpoint(url: url, mutualTLSURL: aliases?[name]?.string)
        }
        authorizationEndpoint = try requiredEndpoint("authorization_endpoint")
        guard let token = try clientEndpoint("token_endpoint") else {
            throw OIDCError(.invalidResponse, reason: "the provider's metadata lacks token_endpoint")
        }
        self.token = token
        jwksURI = try requiredEndpoint("jwks_uri")
        userInfo = try clientEndpoint("userinfo_endpoint")
        endSessionEndpoint = try endpoint("end_session_endpoint")
        pushedAuthorization = try clientEndpoint("pushed_authorization_request_endpoint")
        requiresPushedAuthorization = document["require_pushed_authorization_requests"]?.bool ?? false
        assertionAlgorithms = document["token_endpoint_auth_signing_alg_values_supported"]?.array?
            .prefix(Self.mostAlgorithms).compactMap(\.string)
        sendsIssuerInResponse = document["authorization_response_iss_parameter_supported"]?.bool ?? false
    }
}
