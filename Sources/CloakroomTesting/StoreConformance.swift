public import Cloakroom

import struct Foundation.Date

/// The promises of `SessionStore`, each as a check that any store can be put to.
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
///
/// ``checks`` is for every store. ``directoryChecks``, ``transferChecks``, ``leaseChecks`` and ``peekChecks`` are for those that
/// are a `SessionDirectory`, `SessionTransfer`, `RefreshLeaseStore` or `SessionPeek` as well; put to another store, such a check
/// is skipped, and its outcome says so. ``endNoteChecks`` is for those that keep `SessionEndNotes`.
public enum StoreConformance {
    /// Makes an empty store with this policy. It is called once for each check.
    public typealias MakeSubject = @Sendable (SessionPolicy) async throws -> ConformanceSubject

    /// One promise.
    public struct Check: Sendable, CustomStringConvertible {
        /// The promise, as a sentence.
        public let description: String
        let policy: SessionPolicy
        let body: @Sendable (ConformanceSubject) async throws -> Outcome

        init(
            _ description: String, policy: SessionPolicy = SessionPolicy(),
            _ body: @escaping @Sendable (ConformanceSubject) async throws -> Void
        ) {
            self.description = description
            self.policy = policy
            self.body = { subject in
                try await body(subject)
                return .passed
            }
        }

        /// A check for stores that are more than a `SessionStore`.
        ///
        /// - Parameter role: the store and its replica in that role, if they have it.
        init<Role: Sendable>(
            _ description: String, policy: SessionPolicy, role name: String,
            _ role: @escaping @Sendable (ConformanceSubject) -> (store: Role, replica: Role)?,
            _ body: @escaping @Sendable (_ store: Role, _ replica: Role) async throws -> Void
        ) {
            self.description = description
            self.policy = policy
            self.body = { subject in
                guard let (store, replica) = role(subject) else { return .skipped("the store is no \(name)") }
                try await body(store, replica)
                return .passed
            }
        }

        /// Makes a store and puts it to the check.
        ///
        /// - Returns: whether the store was put to it.
        /// - Throws: ``ConformanceFailure`` when the store breaks the promise, or what the store threw.
        @discardableResult
        public func run(_ makeSubject: MakeSubject) async throws -> Outcome {
            let subject = try await makeSubject(policy)
            let outcome: Outcome
            do {
                outcome = try await body(subject)
            } catch {
                await subject.tearDown()
                throw error
            }
            await subject.tearDown()
            return outcome
        }
    }

    /// What came of a check that found no broken promise.
    public enum Outcome: Sendable, Equatable {
        /// The store keeps the promise.
        case passed
        /// The store does not make it; says why.
        case skipped(String)
    }

    /// All checks that every store must pass, to pass as the arguments of a test.
    public static let checks: [Check] = lifeChecks + refreshChecks + limitChecks + raceChecks + attributeChecks
    /// The checks for stores that are a `SessionDirectory`, the limit per user included.
    public static let directoryChecks: [Check] = listChecks + revocationChecks + userLimitChecks + issuerChecks
}

/// A store under test.
public struct ConformanceSubject: Sendable {
    /// The store.
    public let store: any SessionStore
    /// Another instance over the same sessions, as another replica would have; the store itself if there is no such thing.
    public let replica: any SessionStore
    let tearDown: @Sendable () async -> Void

    /// The store as a directory, if it is one.
    public var directory: (any SessionStore & SessionDirectory)? { store as? any SessionStore & SessionDirectory }
    /// The store as one that sessions can be moved into, if it is one.
    public var transfer: (any SessionTransfer)? { store as? any SessionTransfer }
    /// The store as one with leases, if it is one.
    public var leases: (any RefreshLeaseStore)? { store as? any RefreshLeaseStore }

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

extension StoreConformance {
    /// By what the numbers of races and the like are divided: for runs over one more server of a kind, where the whole number
    /// has been seen on another.
    @TaskLocal package static var divisor = 1

    /// How often to do what the check does so often by itself.
    static func rounds(_ whole: Int) -> Int { max(50, whole / max(1, divisor)) }
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

/// Waits until the whole second, which is all that a session's times are told by, is another.
func waitForNextSecond() async throws {
    let second = Date().timeIntervalSince1970.rounded(.down)
    try await waitUntil("the second ends") { Date().timeIntervalSince1970.rounded(.down) > second }
}

enum Sample {
    /// Tokens of a session that began within this one at the provider.
    static func tokens(providerSession sid: String) -> TokenSet {
        var tokens = tokens()
        let claims = JSONValue.object(["sub": "s", "sid": .string(sid)])
        tokens.idToken = "e30.\(Base64URL.encode(claims.serialized)).e30"
        return tokens
    }

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
