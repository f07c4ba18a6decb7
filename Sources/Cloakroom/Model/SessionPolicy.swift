/// How long sessions live (OWASP ASVS 7.3.1, 7.3.2).
public struct SessionPolicy: Sendable, Equatable {
    /// How long a session lives at most, counted from the login. Nothing extends it. 8 hours by default.
    public let absoluteLifetime: Duration
    /// How long a session may go unused before it ends; `nil`, the default, for no such limit.
    public let idleTimeout: Duration?
    /// How many sessions a user may have; a login beyond that ends the oldest. `nil`, the default, for no limit.
    public let maximumPerUser: Int?

    /// The issuer of sessions that name none, such as those that other programs stored; the one that `nil` stands for in a
    /// ``UserIdentity``. All replicas must have the same. `nil`, the default, is an issuer of its own.
    public let defaultIssuer: String?

    /// Makes a policy.
    ///
    /// - Parameters:
    ///   - absoluteLifetime: from one second to ten years; whole seconds count.
    ///   - idleTimeout: at least one second; a limit longer than the absolute one has no effect.
    ///   - maximumPerUser: from 1 to 1,000.
    ///   - defaultIssuer: the issuer of sessions that name none.
    public init(
        absoluteLifetime: Duration = .seconds(8 * 60 * 60), idleTimeout: Duration? = nil, maximumPerUser: Int? = nil,
        defaultIssuer: String? = nil
    ) {
        precondition(
            absoluteLifetime >= .seconds(1) && absoluteLifetime <= .seconds(3653 * 86_400),
            "a session must live for a second at least and ten years at most")
        precondition(idleTimeout.map { $0 >= .seconds(1) } ?? true, "an idle timeout must be a second at least")
        self.absoluteLifetime = absoluteLifetime
        precondition(maximumPerUser.map { (1...1000).contains($0) } ?? true, "a user may have 1 to 1,000 sessions")
        self.idleTimeout = idleTimeout
        self.maximumPerUser = maximumPerUser
        self.defaultIssuer = defaultIssuer
    }

    /// How far a session's recorded last use may lag behind its true one: a tenth of the idle timeout, 60 seconds at
    /// most. Between two records of use within this span the second is skipped, which saves a write.
    public var touchInterval: Duration? {
        idleTimeout.map { min($0 / 10, .seconds(60)) }
    }
}
