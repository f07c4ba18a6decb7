import Cloakroom
import Crypto
import Logging
import Synchronization
import Testing

import struct Foundation.Date

@testable import CloakroomHTTP

@Suite struct LoginTransactionTests {
    /// The real store, with a look at what it was given.
    final class WatchedRecords: OneTimeRecordStore {
        let store = InMemorySessionStore(logger: Logger(label: "test"))
        let seen = Mutex<[(key: String, record: [UInt8], lifetime: Duration)]>([])

        var count: Int { seen.withLock { $0.count } }

        func putRecord(_ record: [UInt8], key: String, lifetime: Duration) async throws {
            seen.withLock { $0.append((key, record, lifetime)) }
            try await store.putRecord(record, key: key, lifetime: lifetime)
        }

        func putRecordIfAbsent(_ record: [UInt8], key: String, lifetime: Duration) async throws -> Bool {
            seen.withLock { $0.append((key, record, lifetime)) }
            return try await store.putRecordIfAbsent(record, key: key, lifetime: lifetime)
        }

        func readRecord(key: String) async throws -> [UInt8]? { try await store.readRecord(key: key) }

        func takeRecord(key: String) async throws -> [UInt8]? {
            // As stores do that speak to a server.
            try Task.checkCancellation()
            return try await store.takeRecord(key: key)
        }
    }

    private let records = WatchedRecords()
    private let binding = LoginBinding()
    private var transactions: LoginTransactions { LoginTransactions(records: records) }

    @Test("R3: a login is taken once, on any replica, and only with the state and the binding that began it")
    func takenOnce() async throws {
        let pending = transactions.begin(returnTo: ReturnAddress("/x?y=z"), binding: binding)
        #expect(records.count == 0, "nothing is kept of a login that begins")
        let other = transactions.begin(returnTo: ReturnAddress("/x?y=z"), binding: LoginBinding())
        #expect(try await transactions.take(state: other.state, binding: binding) == nil)
        #expect(try await transactions.take(state: pending.state, binding: LoginBinding()) == nil)
        #expect(records.count == 0, "nothing is kept of a callback that is nobody's")

        let taken = try #require(try await transactions.take(state: pending.state, binding: binding))
        #expect(taken.pending.nonce == pending.nonce && taken.pending.codeVerifier == pending.codeVerifier)
        #expect(taken.pending.state == pending.state && taken.returnTo.path == "/x?y=z")
        for _ in 0..<3 { #expect(try await transactions.take(state: pending.state, binding: binding) == nil) }
    }

    @Test("R3: of 64 callbacks at once on two replicas, one gets the login")
    func race() async throws {
        let replicas = [transactions, transactions]
        let binding = binding
        let state = replicas[0].begin(returnTo: ReturnAddress("/"), binding: binding).state
        let count = try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<64 {
                group.addTask { try await replicas[number % 2].take(state: state, binding: binding) != nil }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(count == 1)
    }

    @Test("R3: state, nonce and verifier differ each time, and none tells another or the return address")
    func unguessable() throws {
        var seen: Set<String> = []
        for _ in 0..<100 {
            let pending = transactions.begin(returnTo: ReturnAddress("/secret-place"), binding: binding)
            let secrets = [pending.state, pending.nonce, pending.codeVerifier]
            #expect(secrets.allSatisfy { seen.insert($0).inserted })
            #expect(pending.nonce.utf8.count == 43 && pending.codeVerifier.utf8.count == 43)
            let plain = String(decoding: try #require(Base64URL.decode(pending.state)), as: UTF8.self)
            #expect(!plain.contains("secret-place") && !pending.state.contains(binding.secret))
        }
    }

    @Test("R3: a state that was changed in any bit is no login")
    func forged() async throws {
        let state = transactions.begin(returnTo: ReturnAddress("/x"), binding: binding).state
        let bytes = try #require(Base64URL.decode(state))
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 1 << UInt8(index % 8)
            #expect(try await transactions.take(state: Base64URL.encode(changed), binding: binding) == nil)
        }
        for text in ["", "x", state + "A", String(state.dropLast()), String(repeating: "A", count: 5000), "é"] {
            #expect(try await transactions.take(state: text, binding: binding) == nil)
        }
        #expect(records.count == 0)
    }

    @Test("R4: a login may take ten minutes; the record that makes it unique outlives its state on every replica")
    func lifetime() async throws {
        let start = Date()
        let state = transactions.begin(returnTo: ReturnAddress("/"), binding: binding, at: start).state
        for age in [-100.0, 601, 6000] {
            let taken = try await transactions.take(state: state, binding: binding, at: start.addingTimeInterval(age))
            #expect(taken == nil, "\(age) s")
        }
        let taken = try await transactions.take(state: state, binding: binding, at: start.addingTimeInterval(598))
        #expect(taken != nil)
        let lifetime = try #require(records.seen.withLock { $0.first?.lifetime })
        #expect(lifetime > .seconds(60) && lifetime < .seconds(720))
    }

    @Test("R53: a login that failed leaves no record, and the same callback asks no provider again")
    func release() async throws {
        let transactions = transactions
        for _ in 0..<2000 {
            let state = transactions.begin(returnTo: ReturnAddress("/"), binding: binding).state
            let taken = try #require(try await transactions.take(state: state, binding: binding))
            await transactions.release(taken)
            #expect(try await transactions.take(state: state, binding: binding) == nil)
        }
        for (key, _, _) in records.seen.withLock({ $0 }) {
            #expect(try await records.store.takeRecord(key: key) == nil)
        }
    }

    @Test("R53: a client that hangs up while its login fails leaves no record either")
    func releaseWhenCancelled() async throws {
        let transactions = transactions
        let state = transactions.begin(returnTo: ReturnAddress("/"), binding: binding).state
        let taken = try #require(try await transactions.take(state: state, binding: binding))
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            await transactions.release(taken)
        }
        await task.value
        #expect(try await records.store.takeRecord(key: taken.claim) == nil)
    }

    @Test("R3: a callback that came again leads on for a session that began after its login, not for an older one")
    func since() {
        let began = Date()
        for (age, isSince) in [(-3600.0, false), (-61, false), (-59, true), (0, true), (300, true)] {
            let session = Session(
                tokens: TokenSet(accessToken: "a"), userInfo: UserInfo(subject: "s"),
                createdAt: began.addingTimeInterval(age), expiresAt: began.addingTimeInterval(3600))
            #expect(LoginTransactions.isSince(began, session) == isSince, "\(age) s")
        }
    }

    @Test("the longest return address survives, and no state is longer than is looked at")
    func longest() async throws {
        let path = "/" + String(repeating: "a", count: ReturnAddress.maximumLength - 1)
        let state = transactions.begin(returnTo: ReturnAddress(path), binding: binding).state
        #expect(state.utf8.count == LoginState.maximumLength)
        #expect(try await transactions.take(state: state, binding: binding)?.returnTo.path == path)
    }

    @Test("a login that a replica of the release before began can be ended, once")
    func former() async throws {
        let state = SessionID().secret
        let secret = Array("\(state).\(binding.secret)".utf8)
        let name = Base64URL.encode(Array(SHA256.hash(data: secret)))
        let key = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: secret), info: Array("cloakroom login record 1".utf8),
            outputByteCount: 32)
        let record: JSONValue = ["nonce": "n", "verifier": "v", "return_to": "/x"]
        let sealed = try AES.GCM.seal(record.serialized, using: key, authenticating: Array(name.utf8))
        try await records.putRecord(Array(try #require(sealed.combined)), key: name, lifetime: .seconds(600))
        #expect(try await transactions.take(state: state, binding: LoginBinding()) == nil)
        let taken = try #require(try await transactions.take(state: state, binding: binding))
        #expect(taken.pending.nonce == "n" && taken.pending.codeVerifier == "v" && taken.returnTo.path == "/x")
        #expect(try await transactions.take(state: state, binding: binding) == nil)
    }
}
