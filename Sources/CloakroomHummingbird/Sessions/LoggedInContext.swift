public import Cloakroom
import CloakroomHTTP
public import Hummingbird

/// The context of routes behind ``RequireSession``: its session is there.
///
/// A request that has none, as where that middleware is missing, gets 401.
public struct LoggedInContext<Parent: SessionRequestContext>: ChildRequestContext {
    public var coreContext: CoreRequestContextStorage
    /// The context around it.
    public let parent: Parent
    /// The request's session.
    public let session: UserSession

    /// Takes the session of a context whose session was asked for.
    ///
    /// - Throws: `HTTPError` with 401 when it has none.
    public init(context: Parent) throws {
        guard let session = UserSession(context.session) else { throw HTTPError(.unauthorized) }
        coreContext = context.coreContext
        parent = context
        self.session = session
    }

    public var maxUploadSize: Int { parent.maxUploadSize }
    public var requestDecoder: Parent.Decoder { parent.requestDecoder }
    public var responseEncoder: Parent.Encoder { parent.responseEncoder }
}

/// The live session of a request, for handlers that need one.
///
/// It shows the session as this request last saw it. Its `description` and reflection show its handle alone.
public struct UserSession: Sendable {
    private let request: RequestSession
    private let first: LiveSession

    /// - Returns: `nil` when the request was not found to have a session.
    init?(_ request: RequestSession) {
        guard let live = request.known else { return nil }
        self.request = request
        first = live
    }

    private var live: LiveSession { request.known ?? first }

    /// What the cookie holds. A secret.
    public var id: SessionID { first.id }
    /// What may be shown of it.
    public var handle: SessionHandle { first.id.handle }
    /// Who the user is, as the provider said at the login.
    public var user: UserInfo { live.session.userInfo }
    /// The user as lists and limits name them; `nil` if the provider named none.
    public var identity: UserIdentity? { live.session.user }
    /// The session as the store has it.
    public var record: Session { live.session }
    /// The app's own data.
    public var attributes: SessionAttributes { live.session.attributes }

    /// The value of one of the app's attributes; `nil` when there is none, and when what is there is of another type.
    public subscript<Key: SessionAttributeKey>(_ key: Key.Type) -> Key.Value? { attributes[key] }

    /// Changes the app's own data, as `SessionStore.updateSession(_:_:)` says: of any number of calls at once, on any
    /// replica, none is lost.
    ///
    /// - Parameter change: may be called more than once; it should do nothing but change what it gets.
    /// - Throws: `HTTPError` with 401 when the session has ended meanwhile; `SessionStoreError`; `SessionAttributesError`;
    ///   what `change` throws. In all these cases but an unclear `SessionStoreError`, nothing was written.
    public func update(_ change: @escaping @Sendable (inout SessionAttributes) throws -> Void) async throws {
        guard try await request.update(change) != nil else { throw HTTPError(.unauthorized) }
    }

    /// An access token that can be used now, refreshed if need be where ``SessionMiddleware`` has a refresher.
    ///
    /// - Throws: `HTTPError` with 401 when the session has ended; `ProviderUnavailableError` and `SessionStoreError`, which
    ///   ``FailureMiddleware`` answers with 503: the session stays.
    public func accessToken() async throws -> String {
        guard let live = try await request.withFreshToken() else { throw HTTPError(.unauthorized) }
        return live.session.tokens.accessToken
    }
}

extension UserSession: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "UserSession(handle: \(handle))" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["handle": handle.description]) }
}
