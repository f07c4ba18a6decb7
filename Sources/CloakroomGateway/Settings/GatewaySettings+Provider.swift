import CloakroomHTTP
package import CloakroomOIDC

extension GatewaySettings {
    /// What the relying party needs to know of the provider and of this client's registration there.
    ///
    /// - Parameter credentials: what the client authenticates with.
    package func oidcConfiguration(_ publicURL: String, _ credentials: ClientCredentials) -> OIDCConfiguration {
        var configuration = OIDCConfiguration(
            issuer: oidcIssuer, clientID: oidcClientID, clientSecret: oidcClientSecret,
            scopes: oidcScopes,
            redirectURI: publicURL + AuthEndpoint.callback.path, postLogoutRedirectURI: "\(publicURL)/",
            discoveryURL: oidcDiscoveryURL)
        configuration.logoutTokenTypes = oidcLogoutTokenTypes
        clientProof.apply(to: &configuration, credentials)
        return configuration
    }
}
