/// How well a Redis server is set up for sessions, point by point.
public struct RedisHealth: Sendable, Equatable {
    /// How a point stands.
    public enum Status: String, Sendable, CaseIterable {
        /// As it should be.
        case ok
        /// Sessions work, and may be lost or slow when something else happens.
        case warn
        /// Sessions do not work, or users are logged out for no reason.
        case fail
        /// The server does not tell, as managed services often don't.
        case unknown
    }

    /// One point.
    public struct Item: Sendable, Equatable {
        /// What was looked at; a stable word such as `eviction`.
        public let name: String
        /// How it stands.
        public let status: Status
        /// What was found; holds no secret.
        public let detail: String
        /// What to do about it; `nil` when there is nothing to do.
        public let remedy: String?

        /// Makes a point.
        public init(_ name: String, _ status: Status, _ detail: String, remedy: String? = nil) {
            self.name = name
            self.status = status
            self.detail = detail
            self.remedy = remedy
        }
    }

    /// The points, in the order in which they were looked at.
    public let items: [Item]

    /// Makes a report.
    public init(items: [Item]) { self.items = items }

    /// Whether any point is ``Status/fail``.
    public var hasFailure: Bool { items.contains { $0.status == .fail } }

    /// The point of this name.
    public subscript(name: String) -> Item? { items.first { $0.name == name } }
}
