public import HTTPTypes
public import Logging

/// What the routes of login and logout need to know of a request.
public struct SessionRequest: Sendable {
    /// Method, target and header fields.
    public let head: HTTPRequest
    /// The request's session.
    public let session: RequestSession
    /// The name of the request in the log; error pages show it.
    public let id: String
    /// The address that the request came from, for lists of a user's sessions.
    public let clientAddress: String?
    /// The body, for the endpoints that look at it: see ``AuthEndpoint/maximumBody``.
    public let body: [UInt8]
    /// The request's logger.
    public let logger: Logger

    /// Gathers what is known of a request.
    public init(
        _ head: HTTPRequest, session: RequestSession, id: String, clientAddress: String? = nil, body: [UInt8] = [],
        logger: Logger
    ) {
        self.head = head
        self.session = session
        self.id = id
        self.clientAddress = clientAddress
        self.body = body
        self.logger = logger
    }
}
