import Cloakroom
import Crypto
import Synchronization

import struct Foundation.Date

/// Logins under way, of which nothing is kept on a server: what strangers begin fills no store and takes nobody's place.
///
/// All of a login is in two places of its browser: the cookie that binds it, and `state`, which goes to the provider and
/// comes back. `state` holds when the login began and where it returns to, sealed with AES-GCM under a key that is derived
/// from the cookie; `nonce` and the PKCE verifier are derived from both. So only the browser that began a login can end it,
/// on any replica, any number of tabs share one small cookie, and the verifier never leaves the two ends.
///
/// The time in `state` bounds a login; a record in the store makes it complete once. It is kept only for logins that the
/// provider confirmed, as those alone cost more than a request.
struct LoginTransactions: Sendable {
    static let lifetimeInSeconds = 600
    /// By how much the clocks of two replicas may differ.
    private static let tolerance = 60.0

    struct Transaction {
        let pending: PendingLogin
        let returnTo: ReturnAddress
        /// When the login began, cut to the second.
        let began: Date
        /// The record's key.
        let claim: String
    }

    private let records: any OneTimeRecordStore
    private let failed = FailedLogins()

    init(records: any OneTimeRecordStore) { self.records = records }

    /// Begins a login.
    func begin(returnTo: ReturnAddress, binding: LoginBinding, at now: Date = Date()) -> PendingLogin {
        Self.pending(LoginState(began: now, returnTo: returnTo).sealed(with: binding), binding)
    }

    /// Takes the login that this browser began with this state: no other call gets it, on any replica.
    ///
    /// - Returns: `nil` when there is none: another browser's, used already, or too old.
    func take(state: String, binding: LoginBinding, at now: Date = Date()) async throws -> Transaction? {
        if let former = try await FormerLogins(records: records).take(state: state, binding: binding) { return former }
        guard let opened = LoginState(state, openedWith: binding) else { return nil }
        let age = now.timeIntervalSince(opened.began)
        guard age < Double(Self.lifetimeInSeconds), age > -Self.tolerance else { return nil }
        let claim = "used-" + Base64URL.encode(Array(SHA256.hash(data: Array("\(state).\(binding.secret)".utf8))))
        // Longer than the state can be valid on any replica.
        let lifetime = Duration.seconds(Double(Self.lifetimeInSeconds) - age + 2 * Self.tolerance)
        guard !failed.contains(claim),
            try await storeCall({ try await records.putRecordIfAbsent([], key: claim, lifetime: lifetime) })
        else { return nil }
        return Transaction(
            pending: Self.pending(state, binding), returnTo: opened.returnTo, began: opened.began, claim: claim)
    }

    /// Whether a session began after a login did, as far as two replicas' clocks can tell.
    static func isSince(_ began: Date, _ session: Session) -> Bool {
        session.createdAt.timeIntervalSince(began) >= -tolerance
    }

    /// Takes the record of a login back that failed: strangers can make as many of those as they like.
    func release(_ transaction: Transaction) async {
        failed.insert(transaction.claim)
        // In a task of its own: a client that hangs up must not leave the record. If that fails, it ends by itself.
        await Task { [records] in _ = try? await records.takeRecord(key: transaction.claim) }.value
    }

    private static func pending(_ state: String, _ binding: LoginBinding) -> PendingLogin {
        PendingLogin(
            state: state, nonce: derived("cloakroom login nonce 1", state, binding),
            codeVerifier: derived("cloakroom login verifier 1", state, binding))
    }

    private static func derived(_ purpose: String, _ state: String, _ binding: LoginBinding) -> String {
        let key = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: binding.key, salt: Array(state.utf8), info: Array(purpose.utf8), outputByteCount: 32)
        return key.withUnsafeBytes { Base64URL.encode(Array($0)) }
    }
}

/// Logins that failed lately on this replica, a bounded number, so that the same callback does not ask the provider again.
private final class FailedLogins: Sendable {
    private static let maximumCount = 1024

    private struct State {
        var members: Set<String> = []
        /// In the order of their coming; the oldest is overwritten.
        var ring: [String] = []
        var next = 0
    }

    private let state = Mutex(State())

    func contains(_ claim: String) -> Bool { state.withLock { $0.members.contains(claim) } }

    func insert(_ claim: String) {
        state.withLock { state in
            guard state.members.insert(claim).inserted else { return }
            guard state.ring.count == Self.maximumCount else {
                state.ring.append(claim)
                return
            }
            state.members.remove(state.ring[state.next])
            state.ring[state.next] = claim
            state.next = (state.next + 1) % Self.maximumCount
        }
    }
}
