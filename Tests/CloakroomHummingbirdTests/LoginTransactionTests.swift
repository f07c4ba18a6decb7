import Cloakroom
import CloakroomOIDC
import Logging
import Synchronization
import Testing

@testable import CloakroomHummingbird

@Suite struct LoginTransactionTests {
    /// The real store, with a look at what it was given.
    final class WatchedRecords: OneTimeRecordStore {
        let store = InMemorySessionStore(logger: Logger(label: "test"))
        let seen = Mutex<[(key: String, record: [UInt8])]>([])

        func putRecord(_ record: [UInt8], key: String, lifetime: Duration) async throws {
            #expect(lifetime == .seconds(600))
            seen.withLock { $0.append((key, record)) }
            try await store.putRecord(record, key: key, lifetime: lifetime)
        }

        func takeRecord(key: String) async throws -> [UInt8]? { try await store.takeRecord(key: key) }
    }

    let pending = PendingLogin(state: "state-1", nonce: "nonce-1", codeVerifier: "verifier-1")

    @Test("R3: a login is taken once, and only with the state and the binding that began it")
    func takenOnce() async throws {
        let records = WatchedRecords()
        let transactions = LoginTransactions(records: records)
        let binding = LoginBinding()
        try await transactions.begin(pending, returnTo: ReturnAddress("/x"), binding: binding)
        #expect(try await transactions.take(state: "state-2", binding: binding) == nil)
        #expect(try await transactions.take(state: "state-1", binding: LoginBinding()) == nil)
        let taken = try #require(try await transactions.take(state: "state-1", binding: binding))
        #expect(taken.pending.nonce == "nonce-1" && taken.pending.codeVerifier == "verifier-1")
        #expect(taken.pending.state == "state-1" && taken.returnTo.path == "/x")
        #expect(try await transactions.take(state: "state-1", binding: binding) == nil)
    }

    @Test("R3: what is in the store shows neither nonce nor verifier, state nor binding")
    func sealed() async throws {
        let records = WatchedRecords()
        let binding = LoginBinding()
        try await LoginTransactions(records: records).begin(pending, returnTo: ReturnAddress("/x"), binding: binding)
        let (key, record) = try #require(records.seen.withLock { $0.first })
        let text = String(decoding: record, as: UTF8.self) + key
        for secret in ["nonce", "verifier", "state-1", "return_to", binding.secret] {
            #expect(!text.contains(secret))
        }
        #expect(key.utf8.count == 43)
    }

    @Test("R3: a record that was changed, or moved to another key, is no login")
    func forged() async throws {
        let records = WatchedRecords()
        let transactions = LoginTransactions(records: records)
        let binding = LoginBinding()
        try await transactions.begin(pending, returnTo: ReturnAddress("/x"), binding: binding)
        let other = PendingLogin(state: "state-2", nonce: "n", codeVerifier: "v")
        try await transactions.begin(other, returnTo: ReturnAddress("/x"), binding: binding)
        let seen = records.seen.withLock { $0 }
        _ = try await records.store.takeRecord(key: seen[0].key)
        try await records.store.putRecord(seen[1].record, key: seen[0].key, lifetime: .seconds(60))
        #expect(try await transactions.take(state: "state-1", binding: binding) == nil)
        _ = try await records.store.takeRecord(key: seen[1].key)
        var changed = seen[1].record
        changed[changed.count - 1] ^= 1
        try await records.store.putRecord(changed, key: seen[1].key, lifetime: .seconds(60))
        #expect(try await transactions.take(state: "state-2", binding: binding) == nil)
    }

    @Test("R4: pending logins are bounded in number, and the bound moves on with time")
    func budget() {
        let start = ContinuousClock.now
        let budget = LoginBudget(limit: 3, window: .seconds(600), start: start)
        #expect(budget.take(at: start))
        #expect(budget.take(at: start + .seconds(300)))
        #expect(budget.take(at: start + .seconds(599)))
        #expect(!budget.take(at: start + .seconds(599)))
        #expect(budget.take(at: start + .seconds(601)))
        #expect(!budget.take(at: start + .seconds(601)))
        #expect(budget.take(at: start + .seconds(6000)))
    }
}
