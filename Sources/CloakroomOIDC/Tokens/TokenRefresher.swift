public import Cloakroom
public import Logging
public import ServiceLifecycle
import Synchronization

import struct Foundation.Date

/// Keeps sessions' access tokens fresh: one refresh at a time for a session, however many requests want its token, and on
/// however many processes that share the store.
///
/// ```swift
/// let refresher = TokenRefresher(store: store, relyingParty: relyingParty, logger: logger)
/// // Run it in your ServiceGroup, after the store: at the end it waits for refreshes under way.
///
/// switch try await refresher.freshSession(session, for: id) {
/// case .ready(let session): call the API with session.tokens.accessToken
/// case .ended: forget the cookie, ask the user to log in
/// case .providerUnavailable(let retryAfter): 503 with Retry-After
/// }
/// ```
///
/// A token that is near its end is used at once and refreshed meanwhile; only when it has ended, or will within seconds,
/// does the caller wait. New tokens are stored before anyone gets them (RFC 9700 §4.14.2). A refresh token that the
/// provider refuses (`invalid_grant`, RFC 6749 §5.2) ends the session, unless another process has replaced it meanwhile.
/// Any other failure ends nothing: the provider is left alone for a growing time, and the old token is used until it ends.
public final class TokenRefresher: SessionRefresher, Service {
    /// What there is for a session.
    public typealias Outcome = RefreshOutcome

    /// What is going on, by session.
    struct State {
        var backoff: RefreshBackoff
        var flights: [SessionHandle: Task<Outcome, any Error>] = [:]
        var unsaved = UnsavedTokens()
    }

    let store: any RefreshLeaseStore
    let configuration: TokenRefresherConfiguration
    let logger: Logger
    let events: SessionEvents?
    let state: Mutex<State>
    let metrics = RefreshMetrics()
    private let issuer: String
    private let askForTokens: @Sendable (Session) async throws(OIDCError) -> RefreshedTokens

    /// Makes a refresher.
    ///
    /// - Parameters:
    ///   - store: where the sessions are. What shares it shares refreshes.
    ///   - relyingParty: asks the provider that issued the sessions' tokens.
    ///   - configuration: when to refresh, and how to bear with a provider that is down.
    ///   - events: what to tell of refreshes, and of those that failed.
    ///   - logger: gets failures and ended sessions, with the sessions' handles; never a token.
    public convenience init(
        store: any RefreshLeaseStore, relyingParty: RelyingParty,
        configuration: TokenRefresherConfiguration = TokenRefresherConfiguration(), events: SessionEvents? = nil,
        logger: Logger
    ) {
        self.init(
            store: store, issuer: relyingParty.issuer, configuration: configuration, events: events, logger: logger
        ) { session async throws(OIDCError) in try await relyingParty.refreshedTokens(of: session) }
    }

    init(
        store: any RefreshLeaseStore, issuer: String, configuration: TokenRefresherConfiguration,
        events: SessionEvents? = nil, logger: Logger,
        askForTokens: @escaping @Sendable (Session) async throws(OIDCError) -> RefreshedTokens
    ) {
        self.store = store
        self.issuer = issuer
        self.configuration = configuration
        self.logger = logger
        self.events = events
        self.askForTokens = askForTokens
        state = Mutex(
            State(
                backoff: RefreshBackoff(
                    firstStep: configuration.firstBackoff, longestStep: configuration.longestBackoff)))
    }

    /// The session with an access token that can be used now.
    ///
    /// - Parameters:
    ///   - session: the session as the store gave it a moment ago.
    ///   - id: its ID.
    /// - Throws: `SessionStoreError` when the store can't tell or could not keep new tokens.
    nonisolated(nonsending) public func freshSession(_ session: Session, for id: SessionID) async throws -> Outcome {
        switch need(of: session) {
        case .none:
            return .ready(session)
        case .soon:
            if canRefresh(session) { _ = begin(id, session) }
            return .ready(session)
        case .now, .overdue:
            switch begin(id, session) {
            case .flight(let flight): return try await flight.value
            case .wait(let time): return try await withoutProvider(session, id, retryAfter: time)
            }
        }
    }

    /// Whether the session's access token can be used as it is, and ``freshSession(_:for:)`` would do nothing.
    package func isFresh(_ session: Session) -> Bool { need(of: session) == .none }

    /// Waits, at the end, for the refreshes under way, so that the store still gets what the provider gave.
    public func run() async throws {
        try? await gracefulShutdown()
        while let flight = state.withLock({ $0.flights.values.first }) { _ = await flight.result }
        await saveRest()
    }

    private enum Begun {
        case flight(Task<Outcome, any Error>)
        /// The provider is to be left alone for this long.
        case wait(Duration)
    }

    /// The refresh under way for this session, or a new one. It is a task of its own: a client that hangs up must not
    /// cancel it, as the provider may have replaced the refresh token already (RFC 9700 §4.14.2).
    private func begin(_ id: SessionID, _ session: Session) -> Begun {
        let handle = id.handle
        return state.withLock { state in
            if let running = state.flights[handle] { return .flight(running) }
            // A session that can't be refreshed is looked at whatever becomes of the provider, and tokens are kept.
            if canRefresh(session), !state.unsaved.contains(handle),
                let time = state.backoff.wait(for: handle, now: .now)
            {
                return .wait(time)
            }
            let task = Task {
                defer { _ = self.state.withLock { $0.flights.removeValue(forKey: handle) } }
                return try await self.metrics.timing { try await self.refresh(id) }
            }
            state.flights[handle] = task
            return .flight(task)
        }
    }

    /// Another process may have refreshed a session whose token has ended here.
    private func withoutProvider(
        _ session: Session, _ id: SessionID, retryAfter time: Duration
    ) async throws -> Outcome {
        guard need(of: session) == .overdue else { return .ready(session) }
        guard let current = try await storeCall({ try await self.store.session(for: id) }) else { return .ended }
        return fallback(current, retryAfter: time)
    }

    /// What the provider said.
    enum Answer {
        case tokens(RefreshedTokens)
        /// It no longer takes the refresh token, or gave tokens of another login.
        case mustEnd(reason: String)
        /// It gave none, and is to be left alone for this long.
        case none(Duration)
    }

    /// Asks the provider, if it is not to be left alone.
    func askProvider(_ session: Session, _ id: SessionID) async -> Answer {
        let handle = id.handle
        let attempt: RefreshBackoff.Attempt
        switch state.withLock({ $0.backoff.begin(handle, now: .now) }) {
        case .refused(let time): return .none(time)
        case .granted(let granted): attempt = granted
        }
        do {
            let answer = try await askForTokens(session)
            // A provider that gives tokens which can't be used is not asked at each request either.
            note(attempt, answer.hasNewAccessToken ? .answered : .failed)
            return .tokens(answer)
        } catch  where error.code == .invalidGrant {
            note(attempt, .answered)
            tellFailure(error, session, handle)
            return .mustEnd(reason: "the provider no longer accepts its refresh token")
        } catch  where error.code == .identityMismatch {
            note(attempt, .answered)
            tellFailure(error, session, handle)
            logger.error(
                "The provider answered a refresh with tokens of another login; they were not used",
                metadata: ["session": "\(handle)", "error": "\(error)"])
            return .mustEnd(reason: "the provider answered its refresh with tokens of another login")
        } catch {
            note(attempt, .failed)
            tellFailure(error, session, handle)
            logger.warning("A refresh failed", metadata: ["session": "\(handle)", "error": "\(error)"])
            return .none(state.withLock { $0.backoff.wait(for: handle, now: .now) } ?? configuration.firstBackoff)
        }
    }

    private func tellFailure(_ error: OIDCError, _ session: Session, _ handle: SessionHandle) {
        events?.emit(SessionEvent(.refreshFailed(reason: error.codeWord), session: handle, user: session.user))
    }

    private func note(_ attempt: RefreshBackoff.Attempt, _ result: RefreshBackoff.Result) {
        let chance = Double.random(in: 0...1)
        switch state.withLock({ $0.backoff.end(attempt, result, now: .now, chance: chance) }) {
        case true?: logger.warning("The provider fails for several sessions; it is left alone for a while")
        case false?: logger.info("The provider answers again")
        case nil: break
        }
    }

    /// What a caller gets when no new token can be had: the old one for as long as it lasts.
    func fallback(_ session: Session, retryAfter time: Duration) -> Outcome {
        need(of: session) == .overdue ? .providerUnavailable(retryAfter: time) : .ready(session)
    }

    /// Whether the session has a refresh token, and this is the provider that gave it: no other may see it.
    func canRefresh(_ session: Session) -> Bool {
        session.tokens.refreshToken != nil && (session.issuer == nil || sameBytes(session.issuer, issuer))
    }

    func need(of session: Session) -> RefreshNeed { RefreshNeed(of: session, at: Date(), configuration) }
}
