import Cloakroom
import CloakroomTesting
import Foundation
import Logging
import Testing

@Suite struct PeekConformanceTests {
    private static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    @Test("conformance, looks: in memory, and a hybrid of two in-memory stores")
    func conforms() async {
        await conform(StoreConformance.peekChecks) { policy in
            ConformanceSubject(store: InMemorySessionStore(policy: policy, logger: Self.silent))
        }
        await conform(StoreConformance.peekChecks) { policy in
            let (primary, secondary) = (
                InMemorySessionStore(policy: policy, logger: Self.silent),
                InMemorySessionStore(policy: policy, logger: Self.silent)
            )
            return ConformanceSubject(
                store: HybridSessionStore(
                    primary: primary, secondary: secondary, policy: policy, logger: Self.silent),
                replica: HybridSessionStore(
                    primary: primary, secondary: secondary, policy: policy, logger: Self.silent))
        }
    }

    @Test("a store that looks wrongly fails the check for it", arguments: WrongPeek.Mistake.allCases)
    func findsMistake(_ mistake: WrongPeek.Mistake) async throws {
        let check = try #require(StoreConformance.peekChecks.first { $0.description.contains(mistake.rawValue) })
        let error = await #expect(throws: ConformanceFailure.self) {
            try await check.run { policy in ConformanceSubject(store: WrongPeek(mistake, policy)) }
        }
        #expect(error != nil)
    }

    @Test("a store that can't look skips the checks, and they say so")
    func skips() async throws {
        for check in StoreConformance.peekChecks {
            let outcome = try await check.run { policy in ConformanceSubject(store: FlawedStore(nil, policy: policy)) }
            #expect(outcome == .skipped("the store is no SessionPeek"))
        }
    }
}

/// A store in memory that looks at sessions wrongly.
struct WrongPeek: SessionStore, SessionPeek {
    /// A mistake, and a part of the name of the check that finds it.
    enum Mistake: String, CaseIterable, Sendable {
        case isUse = "is no use of it"
        case tellsAbsoluteEnd = "says when the session ends"
        case seesTheDead = "is not seen any more"
    }

    let mistake: Mistake
    let policy: SessionPolicy
    private let store: InMemorySessionStore
    private let dead = Dead()

    private actor Dead {
        var peeked: [SessionID: PeekedSession] = [:]
        func keep(_ id: SessionID, _ session: PeekedSession?) { if let session { peeked[id] = session } }
        func of(_ id: SessionID) -> PeekedSession? { peeked[id] }
    }

    init(_ mistake: Mistake, _ policy: SessionPolicy) {
        self.mistake = mistake
        self.policy = policy
        store = InMemorySessionStore(policy: policy, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    func peek(at id: SessionID) async throws -> PeekedSession? {
        let peeked = try await store.peek(at: id)
        switch mistake {
        case .isUse: _ = try await store.session(for: id)
        case .tellsAbsoluteEnd:
            return peeked.map { PeekedSession(session: $0.session, endsAt: $0.session.expiresAt) }
        case .seesTheDead:
            await dead.keep(id, peeked)
            return await dead.of(id)
        }
        return peeked
    }

    func createSession(_ new: NewSession) async throws -> SessionID { try await store.createSession(new) }
    func session(for id: SessionID) async throws -> Session? { try await store.session(for: id) }
    func deleteSession(_ id: SessionID) async throws { try await store.deleteSession(id) }
    func deleteSession(_ id: SessionID, ifTokensAre tokens: TokenSet) async throws -> ConditionalEnd {
        try await store.deleteSession(id, ifTokensAre: tokens)
    }
    func updateSession(
        _ id: SessionID, _ change: @escaping @Sendable (inout SessionAttributes) throws -> Void
    ) async throws -> Session? { try await store.updateSession(id, change) }
    func refreshSession(_ id: SessionID, tokens: TokenSet) async throws -> Session? {
        try await store.refreshSession(id, tokens: tokens)
    }
    func ping() async throws { try await store.ping() }
}
