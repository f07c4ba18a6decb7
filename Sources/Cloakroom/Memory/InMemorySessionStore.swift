public import Logging
public import ServiceLifecycle

/// Sessions in this process's memory: for development and tests, not for production.
public final class InMemorySessionStore: SessionStore, OneTimeRecordStore, Service {
    public init(policy: SessionPolicy = SessionPolicy(), maximumSessions: Int = 1_000_000, logger: Logger) {}

    public func run() async throws { try await gracefulShutdown() }

    public func createSession(tokens: TokenSet, userInfo: UserInfo) async throws -> SessionID { SessionID() }
    public func session(for id: SessionID) async throws -> Session? { nil }
    public func deleteSession(_ id: SessionID) async throws {}
    public func refreshSession(_ id: SessionID, tokens: TokenSet) async throws -> Session? { nil }
    public func ping() async throws {}
    public func putRecord(_ record: [UInt8], key: String, lifetime: Duration) async throws {}
    public func takeRecord(key: String) async throws -> [UInt8]? { nil }
}
