import Cloakroom
import CloakroomOIDC
import Crypto
import Foundation

/// Logins under way, kept in the store so that any replica can end what another began.
///
/// A record's key is a hash of the `state` and of the binding cookie, so only the browser that began a login can end it,
/// and only once. The record is sealed with AES-GCM under a key that is derived from the same two secrets, which the store
/// never sees: a dump of it holds nothing to use.
struct LoginTransactions: Sendable {
    static let lifetimeInSeconds = 600

    struct Transaction {
        let pending: PendingLogin
        let returnTo: ReturnAddress
    }

    private let records: any OneTimeRecordStore

    init(records: any OneTimeRecordStore) { self.records = records }

    /// Keeps a login that begins.
    func begin(_ pending: PendingLogin, returnTo: ReturnAddress, binding: LoginBinding) async throws {
        let (name, key) = Self.nameAndKey(state: pending.state, binding: binding)
        let record: JSONValue = .object([
            "nonce": .string(pending.nonce), "verifier": .string(pending.codeVerifier),
            "return_to": .string(returnTo.path),
        ])
        let sealed = try AES.GCM.seal(record.serialized, using: key, authenticating: Array(name.utf8))
        guard let bytes = sealed.combined else { throw CryptoKitError.incorrectParameterSize }
        try await storeCall {
            try await records.putRecord(
                Array(bytes), key: name, lifetime: .seconds(Self.lifetimeInSeconds))
        }
    }

    /// Takes the login that this browser began with this state.
    ///
    /// - Returns: `nil` when there is none: another browser's, used already, or too old.
    func take(state: String, binding: LoginBinding) async throws -> Transaction? {
        let (name, key) = Self.nameAndKey(state: state, binding: binding)
        guard let bytes = try await storeCall({ try await records.takeRecord(key: name) }),
            let box = try? AES.GCM.SealedBox(combined: bytes),
            let opened = try? AES.GCM.open(box, using: key, authenticating: Array(name.utf8)),
            let record = try? JSONValue(parsing: Array(opened)).object,
            let nonce = record["nonce"]?.string, let verifier = record["verifier"]?.string
        else { return nil }
        return Transaction(
            pending: PendingLogin(state: state, nonce: nonce, codeVerifier: verifier),
            returnTo: ReturnAddress(record["return_to"]?.string))
    }

    private static func nameAndKey(state: String, binding: LoginBinding) -> (String, SymmetricKey) {
        let secret = Array("\(state).\(binding.secret)".utf8)
        let key = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: secret), info: Array("cloakroom login record 1".utf8),
            outputByteCount: 32)
        return (Base64URL.encode(Array(SHA256.hash(data: secret))), key)
    }
}
