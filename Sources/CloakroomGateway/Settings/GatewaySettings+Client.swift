public import CloakroomOIDC

extension GatewaySettings {
    /// What the app shows the provider that the settings `OIDC_…` name.
    package var clientProof: ClientProof {
        ClientProof(
            method: oidcClientAuth, secret: oidcClientSecret, secretFile: origins["OIDC_CLIENT_SECRET"]?.file,
            settings: client, name: { "OIDC_\($0.uppercased())" })
    }

    /// ``oidcClientAuth``, or what follows from the secrets that are given.
    public var effectiveClientAuth: OIDCConfiguration.ClientAuthentication { clientProof.effectiveMethod }
}
