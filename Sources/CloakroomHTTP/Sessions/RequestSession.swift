public import Cloakroom
public import HTTPTypes
import Synchronization

/// A session together with the ID that names it.
public struct LiveSession: Sendable {
    /// The secret of the cookie.
    public let id: SessionID
    /// What the store holds.
    public let session: Session

    /// Pairs a session with its ID.
    public init(id: SessionID, session: Session) {
        self.id = id
        self.session = session
    }
}

/// The session of one request. The store is asked when the session is first wanted, and once.
///
/// It is a class because all who handle the request share it.
public final class RequestSession: Sendable {
    struct State {
        var refresher: (any SessionRefresher)?
        var store: (any SessionStore)?
        var id: SessionID?
        var resolved: LiveSession??
    }

    let state: Mutex<State>

    /// Makes the session of a request that is yet to be looked at.
    public init() { state = Mutex(State()) }

    /// Makes the session of the request with these fields.
    ///
    /// A cookie that is malformed, oversized or sent twice counts as none.
    public convenience init(_ headers: HTTPFields, in store: any SessionStore, cookies: CookieSettings) {
        self.init()
        look(at: headers, in: store, cookies: cookies)
    }

    /// Says where to look, to a session that was made before the request was known.
    public func look(at headers: HTTPFields, in store: any SessionStore, cookies: CookieSettings) {
        let id = headers.sessionID(cookies)
        state.withLock { $0 = State(store: store, id: id, resolved: id == nil ? .some(nil) : nil) }
    }

    /// The ID that the cookie named, whether or not there is such a session.
    package var presentedID: SessionID? { state.withLock { $0.id } }

    /// The handle of the session that this request was found to have.
    public var handle: SessionHandle? { state.withLock { $0.resolved }??.id.handle }

    /// The session, or `nil` when the request has no live one.
    ///
    /// - Throws: `SessionStoreError` when the store can't tell. That is not "no session": answer 503.
    public func current() async throws -> LiveSession? {
        let state = state.withLock { $0 }
        if let resolved = state.resolved { return resolved }
        guard let store = state.store, let id = state.id else { return nil }
        let session = try await storeCall { try await store.session(for: id) }
        let live = session.map { LiveSession(id: id, session: $0) }
        self.state.withLock { $0.resolved = .some(live) }
        return live
    }

    /// Takes the session from one who has looked it up in another way.
    func note(_ live: LiveSession) { state.withLock { $0.resolved = .some(live) } }

    /// Forgets a session that has ended.
    package func forget() {
        state.withLock { $0.resolved = .some(nil) }
    }
}
