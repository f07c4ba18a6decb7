import Cloakroom
import Crypto

import struct Foundation.Date

/// Logins that a replica of the release before began, which kept them in the store: a rolling deploy ends them here.
///
/// A record's key is a hash of the state, which had 43 characters, and of the binding; it is sealed under a key that is
/// derived from the same two.
struct FormerLogins: Sendable {
    private static let stateLength = 43

    let records: any OneTimeRecordStore

    func take(state: String, binding: LoginBinding) async throws -> LoginTransactions.Transaction? {
        guard state.utf8.count == Self.stateLength else { return nil }
        let (name, key) = Self.nameAndKey(state: state, binding: binding)
        guard let bytes = try await storeCall({ try await records.takeRecord(key: name) }),
            let box = try? AES.GCM.SealedBox(combined: bytes),
            let opened = try? AES.GCM.open(box, using: key, authenticating: Array(name.utf8)),
            let record = try? JSONValue(parsing: Array(opened)).object,
            let nonce = record["nonce"]?.string, let verifier = record["verifier"]?.string
        else { return nil }
        return LoginTransactions.Transaction(
            pending: PendingLogin(state: state, nonce: nonce, codeVerifier: verifier),
            returnTo: ReturnAddress(record["return_to"]?.string),
            // It was not kept. No login takes longer.
            began: Date(timeIntervalSinceNow: -Double(LoginTransactions.lifetimeInSeconds)), claim: name)
    }

    private static func nameAndKey(state: String, binding: LoginBinding) -> (String, SymmetricKey) {
        let secret = Array("\(state).\(binding.secret)".utf8)
        let key = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: secret), info: Array("cloakroom login record 1".utf8),
            outputByteCount: 32)
        return (Base64URL.encode(Array(SHA256.hash(data: secret))), key)
    }
}
