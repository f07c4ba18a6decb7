import Cloakroom
import CloakroomTesting
import SQLiteSessionStore
import Testing

/// Every promise of every role, over two stores that share one file.
@Suite(.serialized) struct ConformanceTests {
    private static let checks =
        StoreConformance.checks + StoreConformance.directoryChecks + StoreConformance.transferChecks
        + StoreConformance.leaseChecks

    /// How many checks run side by side: most of their time they wait, but some are all work, and a check of an idle limit
    /// needs its turn in time.
    private static let atOnce = 8

    @Test("plain")
    func plain() async throws {
        await conform(RecordCodec())
    }

    @Test("sealed and compressed")
    func sealed() async throws {
        let keyring = try SessionKeyring(SessionKeyring.generateKey())
        await conform(RecordCodec(keyring: keyring, compressionThreshold: 100, acceptsPlain: false))
    }

    @Test("one-time records")
    func records() async throws {
        let folder = try ScratchFolder()
        defer { folder.remove() }
        let (store, replica) = (try folder.open(), try folder.open())
        try await OneTimeRecordConformance.check(store, replica: replica)
        try store.close()
        try replica.close()
    }

    private func conform(_ codec: RecordCodec) async {
        await withTaskGroup(of: Void.self) { group in
            for (number, check) in Self.checks.enumerated() {
                if number >= Self.atOnce { await group.next() }
                group.addTask { await run(check, codec) }
            }
        }
    }

    private func run(_ check: StoreConformance.Check, _ codec: RecordCodec) async {
        do {
            let outcome = try await check.run { policy in
                let folder = try ScratchFolder()
                let (store, replica) = (try folder.open(policy, codec: codec), try folder.open(policy, codec: codec))
                return ConformanceSubject(store: store, replica: replica) {
                    try? store.close()
                    try? replica.close()
                    folder.remove()
                }
            }
            #expect(outcome == .passed, "\(check)")
        } catch {
            Issue.record("\(check): \(error)")
        }
    }
}
