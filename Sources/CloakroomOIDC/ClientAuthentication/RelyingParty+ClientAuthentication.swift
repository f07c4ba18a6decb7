import AsyncHTTPClient
public import Cloakroom

import struct Foundation.Data
import struct Foundation.Date

extension RelyingParty {
    /// The public keys of this client, as a JWK set; empty if it signs nothing.
    public var clientKeys: JSONObject { configuration.credentials?.publicKeys ?? ["keys": []] }

    /// Asks the token endpoint for a grant, with the client's credentials (OpenID Connect Core §9).
    func requestTokens(_ metadata: ProviderMetadata, grant: Parameters) async throws(OIDCError) -> TokenResponse {
        let request = try clientRequest(to: metadata.token, metadata, form: grant)
        return try TokenResponse(try await http.send(request, .token, limit: TokenResponse.largestBody))
    }

    /// A `POST` of a form that shows who this client is.
    func clientRequest(
        to endpoint: ProviderMetadata.ClientEndpoint, _ metadata: ProviderMetadata, form: Parameters
    ) throws(OIDCError) -> HTTPClientRequest {
        let credentials = configuration.credentials?.current ?? ClientCredentials.Values()
        let secret = credentials.secret ?? configuration.clientSecret ?? ""
        var form = form
        var authorization: String?
        switch configuration.clientAuthentication {
        case .basic: authorization = Self.basicCredentials(clientID: configuration.clientID, secret: secret)
        case .post: form.append("client_secret", secret)
        case .privateKeyJWT:
            form.append("client_assertion_type", ClientAssertion.type)
            form.append("client_assertion", try signedAssertion(credentials, metadata))
        case .assertion:
            guard let assertion = credentials.assertion else {
                throw OIDCError(.clientRejected, reason: "the client has no assertion")
            }
            try ClientAssertion.checkTime(of: assertion, now: Date())
            form.append("client_assertion_type", ClientAssertion.type)
            form.append("client_assertion", assertion)
        case .tls, .none: break
        }
        // An assertion of somebody else need not name the client, and TLS does not.
        if configuration.clientAuthentication != .basic, !form.contains("client_id") {
            form.append("client_id", configuration.clientID)
        }
        var request = http.request(endpoint.url, authorization: authorization, form: form)
        try show(credentials.certificate, in: &request, endpoint)
        return request
    }

    /// Has a request show the client's certificate, at the address that asks for it (RFC 8705 §5).
    func show(
        _ certificate: ClientCertificate?, in request: inout HTTPClientRequest,
        _ endpoint: ProviderMetadata.ClientEndpoint
    ) throws(OIDCError) {
        guard let certificate, certificate.isForTLS else { return }
        if let alias = endpoint.mutualTLSURL {
            request.url = try EndpointPolicy(configuration).check(alias, name: "mtls_endpoint_aliases")
        }
        request.tlsConfiguration = certificate.adding(to: request.tlsConfiguration)
    }

    private func signedAssertion(
        _ credentials: ClientCredentials.Values, _ metadata: ProviderMetadata
    ) throws(OIDCError) -> String {
        guard let key = credentials.keys.first else {
            throw OIDCError(.clientRejected, reason: "the client has no private key to sign with")
        }
        let audience =
            switch configuration.assertionAudience {
            case .tokenEndpoint: metadata.token.url
            case .issuer: configuration.issuer
            }
        return try ClientAssertion.sign(
            key, key.algorithm(acceptedBy: metadata.assertionAlgorithms), clientID: configuration.clientID,
            audience: audience, id: randomText(), now: Date(), certificate: credentials.certificate)
    }

    /// ID and secret for the `Authorization` header; each is form-urlencoded first (RFC 6749 §2.3.1), so that a colon in
    /// the ID or any character in the secret is safe.
    static func basicCredentials(clientID: String, secret: String) -> String {
        "Basic " + Data("\(PercentCoding.encode(clientID)):\(PercentCoding.encode(secret))".utf8).base64EncodedString()
    }
}
