import CloakroomHTTP
package import CloakroomOIDC

extension GatewaySettings {
    /// What the relying party needs to know of the provider and of this client's registration there.
    package func oidcConfiguration(_ publicURL: String) -> OIDCConfiguration {
        var configuration = OIDCConfiguration(
            issuer: oidcIssuer, clientID: oidcClientID, clientSecret: oidcClientSecret,
            clientAuthentication: oidcClientAuth, scopes: oidcScopes,
            redirectURI: publicURL + AuthEndpoint.callback.path, postLogoutRedirectURI: "\(publicURL)/",
            discoveryURL: oidcDiscoveryURL)
        configuration.logoutTokenTypes = oidcLogoutTokenTypes
        return configuration
    }
}
