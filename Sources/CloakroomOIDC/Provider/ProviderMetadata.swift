import Cloakroom

/// What the provider says of itself (OpenID Connect Discovery 1.0 §3, RFC 9207 §3).
struct ProviderMetadata: Sendable {
    /// Discovery documents are a few kilobytes.
    static let largestDocument = 256 * 1024

    let authorizationEndpoint: String
    let tokenEndpoint: String
    let jwksURI: String
    let userInfoEndpoint: String?
    let endSessionEndpoint: String?
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
        authorizationEndpoint = try requiredEndpoint("authorization_endpoint")
        tokenEndpoint = try requiredEndpoint("token_endpoint")
        jwksURI = try requiredEndpoint("jwks_uri")
        userInfoEndpoint = try endpoint("userinfo_endpoint")
        endSessionEndpoint = try endpoint("end_session_endpoint")
        sendsIssuerInResponse = document["authorization_response_iss_parameter_supported"]?.bool ?? false
    }
}
