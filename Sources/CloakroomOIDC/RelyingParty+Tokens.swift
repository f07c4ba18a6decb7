import Cloakroom

extension RelyingParty {
    /// Checks the signature of a token that the provider sent.
    ///
    /// A key that is not in the set at hand may be new: the set is fetched again once, but not at every such token.
    func checkSignature(of token: SignedToken) async throws(OIDCError) {
        let copy = try await keys.current()
        var candidates = copy.value.candidates(keyID: token.keyID, algorithm: token.algorithm)
        if token.isSigned(byOneOf: candidates) { return }
        // Without a key ID a changed key shows as a wrong signature.
        if candidates.isEmpty || token.keyID == nil, let newer = try await keys.newer(than: copy) {
            candidates = newer.value.candidates(keyID: token.keyID, algorithm: token.algorithm)
            if token.isSigned(byOneOf: candidates) { return }
        }
        throw OIDCError(
            .invalidIDToken, reason: candidates.isEmpty ? "no key of the provider fits it" : "its signature is wrong")
    }
}
