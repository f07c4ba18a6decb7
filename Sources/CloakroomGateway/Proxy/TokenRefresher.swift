import Cloakroom
import CloakroomHummingbird
import CloakroomOIDC
import Foundation
import Logging
import ServiceLifecycle
import Synchronization

/// Keeps sessions' access tokens fresh: one refresh at a time for a session, however many requests wait for it, and on
/// however many replicas, where the store has leases.
final class TokenRefresher: Service {
    /// What a request gets.
    enum Outcome: Sendable {
        /// A session whose access token can be used now.
        case ready(Session)
        /// The session is over; it is no longer in the store.
        case ended
        /// The token has ended and the provider does not answer.
        case providerUnavailable
    }

    /// A token that ends within this time is refreshed before it is used.
    private static let margin = 30.0

    let store: any SessionStore
    private let relyingParty: RelyingParty
    let logger: Logger
    private let flights = Mutex<[SessionHandle: Task<Outcome, any Error>]>([:])

    init(store: any SessionStore, relyingParty: RelyingParty, logger: Logger) {
        self.store = store
        self.relyingParty = relyingParty
        self.logger = logger
    }

    /// The session with a token that can be used now, refreshed first if it is due.
    ///
    /// - Throws: ``SessionStoreError`` when the store can't tell or could not keep the new tokens.
    func fresh(_ live: LiveSession) async throws -> Outcome {
        guard isDue(live.session, at: .now) else { return .ready(live.session) }
        return try await flight(for: live.id).value
    }

    /// Waits, at the end, for the refreshes under way, so that the store still gets what the provider gave.
    func run() async throws {
        try? await gracefulShutdown()
        while let task = flights.withLock({ $0.values.first }) { _ = await task.result }
    }

    /// The refresh under way for this session, or a new one. It is a task of its own: a client that hangs up must not
    /// cancel it, as the provider may have replaced the refresh token already (RFC 9700 §4.14.2).
    private func flight(for id: SessionID) -> Task<Outcome, any Error> {
        let handle = id.handle
        return flights.withLock { flights in
            if let running = flights[handle] { return running }
            let task = Task {
                defer { _ = self.flights.withLock { $0.removeValue(forKey: handle) } }
                return try await self.refresh(id)
            }
            flights[handle] = task
            return task
        }
    }

    private func refresh(_ id: SessionID) async throws -> Outcome {
        if let store = store as? any RefreshLeaseStore { return try await refreshUnderLease(id, in: store) }
        guard let session = try await storeCall({ try await self.store.session(for: id) }) else { return .ended }
        if let outcome = try await outcomeWithoutRefresh(of: session, id) { return outcome }
        let tokens: TokenSet
        switch try await askProvider(session, id) {
        case .tokens(let given): tokens = given
        case .outcome(let outcome): return outcome
        }
        guard let refreshed = try await persisting(id, { try await self.store.refreshSession(id, tokens: tokens) })
        else { return .ended }
        logger.debug("Refreshed a session's tokens", metadata: ["session": "\(id.handle)"])
        return .ready(refreshed)
    }

    /// What the provider said.
    enum Answer {
        case tokens(TokenSet)
        /// It gave none; this is what it means.
        case outcome(Outcome)
    }

    func askProvider(_ session: Session, _ id: SessionID) async throws -> Answer {
        do {
            return .tokens(try await relyingParty.refresh(session))
        } catch  where error.code == .invalidGrant {
            return .outcome(try await afterInvalidGrant(id, used: session))
        } catch {
            logger.warning("A refresh failed", metadata: ["session": "\(id.handle)", "error": "\(error)"])
            return .outcome(fallback(session))
        }
    }

    /// What a request gets when no new token can be had: the old one for as long as it lasts.
    func fallback(_ session: Session) -> Outcome {
        hasEnded(session, at: .now) ? .providerUnavailable : .ready(session)
    }

    /// `nil` when the session is to be refreshed.
    func outcomeWithoutRefresh(of session: Session, _ id: SessionID) async throws -> Outcome? {
        guard isDue(session, at: .now) else { return .ready(session) }
        guard session.tokens.refreshToken == nil else { return nil }
        if !hasEnded(session, at: .now) { return .ready(session) }
        return try await end(id, because: "its access token ended and there is no refresh token")
    }

    /// Another replica may have refreshed first, so that the provider called our token used. Then the store has new ones.
    private func afterInvalidGrant(_ id: SessionID, used: Session) async throws -> Outcome {
        guard let current = try await storeCall({ try await self.store.session(for: id) }) else { return .ended }
        if let token = current.tokens.refreshToken, let old = used.tokens.refreshToken, !constantTimeEquals(token, old)
        {
            return .ready(current)
        }
        return try await end(id, because: "the provider no longer accepts its refresh token")
    }

    private func end(_ id: SessionID, because reason: String) async throws -> Outcome {
        try await storeCall { try await store.deleteSession(id) }
        logger.info("A session ended", metadata: ["session": "\(id.handle)", "reason": "\(reason)"])
        return .ended
    }

    /// Keeps the new tokens before anyone uses them. The old refresh token may be worth nothing by now, so a store that
    /// fails is asked again before the tokens are given up.
    func persisting<Value: Sendable>(
        _ id: SessionID, _ body: @Sendable () async throws -> Value
    ) async throws -> Value {
        for delay in [Duration.milliseconds(100), .milliseconds(400), .seconds(1)] {
            do {
                return try await storeCall { try await body() }
            } catch {
                logger.warning(
                    "New tokens could not be kept yet", metadata: ["session": "\(id.handle)", "error": "\(error)"])
            }
            try? await Task.sleep(for: delay)
        }
        return try await storeCall { try await body() }
    }

    /// A token that lives for less than a minute is due in the second half of its life, or else it would always be.
    private func isDue(_ session: Session, at now: Date) -> Bool {
        guard let end = session.accessTokenExpiresAt else { return false }
        let margin = session.tokens.expiresIn.map { min(Self.margin, Double(max($0, 0)) / 2) } ?? Self.margin
        return now.addingTimeInterval(margin) >= end
    }

    private func hasEnded(_ session: Session, at now: Date) -> Bool {
        session.accessTokenExpiresAt.map { now >= $0 } ?? false
    }
}
