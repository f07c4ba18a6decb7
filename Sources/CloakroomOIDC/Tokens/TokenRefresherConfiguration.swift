/// When a ``TokenRefresher`` refreshes, and how it bears with a provider that is down.
public struct TokenRefresherConfiguration: Sendable, Equatable {
    /// A token that ends within this time is due: it is used, and refreshed in the background. For a token that lives for
    /// less than twice as long it is half of its life, or else such a token would always be due.
    public var margin: Duration = .seconds(30)
    /// A token that ends within this time might end on its way to the API: the caller waits for its refresh. It is never
    /// more than half of ``margin``.
    public var urgentMargin: Duration = .seconds(3)
    /// How long the right to refresh a session lasts unless it is renewed. It is renewed while a provider takes longer; a
    /// process that dies holds the others up for this long.
    public var leaseLifetime: Duration = .seconds(10)
    /// How long a caller waits at most for another process that refreshes the same session.
    public var patience: Duration = .seconds(30)
    /// How long the provider is left alone after it failed for the first time; each further failure doubles it.
    public var firstBackoff: Duration = .seconds(1)
    /// The longest time that the provider is left alone; what passes at most until its recovery is noticed.
    public var longestBackoff: Duration = .seconds(30)

    /// The defaults.
    public init() {}
}
