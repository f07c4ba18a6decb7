/// The request that something is done for: where it came from, and its name in the log. For audits.
///
/// Whoever serves a request states it around what is done for that, and the ``SessionEvent``s of it then say so:
///
/// ```swift
/// await RequestOrigin.$current.withValue(RequestOrigin(client: client, requestID: id)) { await answer(request) }
/// ```
public struct RequestOrigin: Sendable, Equatable {
    /// Who made it, as far as that can be seen.
    public var client: SessionClient
    /// The request's ID in the log.
    public var requestID: String?

    /// Makes an origin.
    public init(client: SessionClient, requestID: String? = nil) {
        self.client = client
        self.requestID = requestID
    }

    /// The request that the current task serves.
    @TaskLocal public static var current: RequestOrigin?
}
