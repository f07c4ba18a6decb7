import Cloakroom

extension RelyingParty {
    /// Where to send a browser to log in: the authorization endpoint with these parameters, or with the name of a request
    /// that holds them and that the provider has already (RFC 9126).
    func authorizationURL(with parameters: Parameters) async throws(OIDCError) -> String {
        let metadata = try await metadata.current().value
        guard let endpoint = try pushEndpoint(metadata) else {
            return parameters.appended(to: metadata.authorizationEndpoint)
        }
        let client = RequestOrigin.current?.client.address
        guard await pushLine.enter(client, within: configuration.requestTimeout) else {
            throw OIDCError(.providerUnavailable, reason: "too many logins begin at once")
        }
        defer { pushLine.leave(client) }
        let request = try clientRequest(to: endpoint, metadata, form: parameters)
        let response = try await http.send(request, .par, limit: PushedAuthorization.largestBody)
        let pushed: Parameters = [
            "client_id": configuration.clientID, "request_uri": try PushedAuthorization(response).requestURI,
        ]
        return pushed.appended(to: metadata.authorizationEndpoint)
    }

    /// Where to push authorization requests; `nil` to send them with the browser.
    private func pushEndpoint(_ metadata: ProviderMetadata) throws(OIDCError) -> ProviderMetadata.ClientEndpoint? {
        switch configuration.pushedAuthorization {
        case .auto where metadata.pushedAuthorization == nil && metadata.requiresPushedAuthorization:
            throw OIDCError(
                .invalidResponse, reason: "the provider requires pushed authorization requests and names no endpoint")
        case .auto: return metadata.pushedAuthorization
        case .on:
            guard let endpoint = metadata.pushedAuthorization else {
                throw OIDCError(
                    .invalidResponse,
                    reason: "the provider's metadata lacks pushed_authorization_request_endpoint (OIDC_PAR is on)")
            }
            return endpoint
        case .off:
            guard !metadata.requiresPushedAuthorization else {
                throw OIDCError(
                    .invalidResponse, reason: "the provider requires pushed authorization requests (OIDC_PAR is off)")
            }
            return nil
        }
    }
}

/// The answer to a pushed authorization request (RFC 9126 §2.2).
struct PushedAuthorization: Sendable {
    static let largestBody = 16 * 1024
    static let longestURI = 2048

    /// What stands for the request.
    let requestURI: String

    init(_ response: ProviderHTTP.Response) throws(OIDCError) {
        let name = "the pushed authorization request endpoint"
        // 201 is right; some answer 200.
        guard response.status == 201 || response.status == 200 else {
            throw TokenResponse.refusal(response, name: name)
        }
        guard let uri = response.object?["request_uri"]?.string, (1...Self.longestURI).contains(uri.utf8.count),
            uri.isVisibleASCII
        else { throw OIDCError(.invalidResponse, reason: "\(name)'s answer has no usable request_uri") }
        requestURI = uri
    }
}
