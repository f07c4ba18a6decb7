public import Cloakroom

/// The promises of ``SessionStore``, each as a check that any store can be put to.
///
/// It needs no test framework. With Swift Testing:
///
/// ```swift
/// @Test(arguments: StoreConformance.checks)
/// func conforms(_ check: StoreConformance.Check) async throws {
///     try await check.run { policy in
///         ConformanceSubject(store: MyStore(policy: policy))
///     }
/// }
/// ```
public enum StoreConformance {
    /// Makes an empty store with this policy. It is called once for each check.
    public typealias MakeSubject = @Sendable (SessionPolicy) async throws -> ConformanceSubject

    /// One promise.
    public struct Check: Sendable, CustomStringConvertible {
        /// The promise, as a sentence.
        public let description: String
        let policy: SessionPolicy
        let body: @Sendable (ConformanceSubject) async throws -> Void

        init(
            _ description: String, policy: SessionPolicy = SessionPolicy(),
            _ body: @escaping @Sendable (ConformanceSubject) async throws -> Void
        ) {
            self.description = description
            self.policy = policy
            self.body = body
        }

        /// Makes a store and puts it to the check.
        ///
        /// - Throws: ``ConformanceFailure`` when the store breaks the promise, or what the store threw.
        public func run(_ makeSubject: MakeSubject) async throws {
            let subject = try await makeSubject(policy)
            do {
                try await body(subject)
            } catch {
                await subject.tearDown()
                throw error
            }
            await subject.tearDown()
        }
    }

    /// All checks, to pass as the arguments of a test.
    public static let checks: [Check] = lifeChecks + refreshChecks + limitChecks + raceChecks
}

/// A store under test.
public struct ConformanceSubject: Sendable {
    /// The store.
    public let store: any SessionStore
    /// Another instance over the same sessions, as another replica would have; the store itself if there is no such thing.
    public let replica: any SessionStore
    let tearDown: @Sendable () async -> Void

    /// Makes a subject.
    ///
    /// - Parameters:
    ///   - store: the store under test.
    ///   - replica: another instance over the same sessions, if the store shares them.
    ///   - tearDown: called when the check is over.
    public init(
        store: any SessionStore, replica: (any SessionStore)? = nil,
        tearDown: @escaping @Sendable () async -> Void = {}
    ) {
        self.store = store
        self.replica = replica ?? store
        self.tearDown = tearDown
    }
}

/// A promise that was broken.
public struct ConformanceFailure: Error, Sendable, CustomStringConvertible {
    /// What was expected.
    public let description: String

    init(_ description: String) { self.description = description }
}

func expect(_ condition: Bool, _ expectation: String) throws {
    guard condition else { throw ConformanceFailure(expectation) }
}

/// Waits until `condition` holds, looking often, and fails when that takes too long.
func waitUntil(
    _ expectation: String, within limit: Duration = .seconds(10), _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < end else { throw ConformanceFailure("\(expectation), within \(limit)") }
        try await Task.sleep(for: .milliseconds(20))
    }
}

enum Sample {
    static func tokens(_ name: String = "first") -> TokenSet {
        TokenSet(
            accessToken: "access-\(name)", refreshToken: "refresh-\(name)", idToken: "id-\(name)", expiresIn: 300,
            refreshExpiresIn: 1800)
    }

    static let userInfo: UserInfo = {
        var userInfo = UserInfo(
            subject: "248289761001", email: "zoë@example.com", name: "Zoë \"Z\" Müller\n☕️\u{0}",
            preferredUsername: "zoe")
        userInfo["address"] = ["street": "1 Main", "lines": ["a", "b", .null, true]]
        userInfo["big"] = .number("123456789012345678901234567890")
        userInfo["exact"] = .number("1.10")
        return userInfo
    }()
}
