import Cloakroom
import CloakroomTesting
import Testing

/// A suite that every store passes is worth nothing: wrong stores must fail it.
@Suite struct ConformanceSuiteTests {
    @Test("a store with a mistake fails the check for it", arguments: Mistake.allCases)
    func findsMistake(_ mistake: Mistake) async throws {
        let check = try #require(StoreConformance.checks.first { $0.description == mistake.check })
        await #expect(throws: ConformanceFailure.self) {
            try await check.run { policy in WrongStore.subject(mistake, policy: policy) }
        }
    }

    @Test("the same store without a mistake passes all of them", arguments: StoreConformance.checks)
    func passesWithoutMistake(_ check: StoreConformance.Check) async throws {
        try await check.run { policy in WrongStore.subject(nil, policy: policy) }
    }
}

/// The same for the checks of directories, transfer targets and leases.
@Suite struct ExtendedConformanceSuiteTests {
    private static let checks =
        StoreConformance.directoryChecks + StoreConformance.transferChecks + StoreConformance.leaseChecks
        + StoreConformance.attributeChecks

    @Test("a store with a flaw fails the check for it", arguments: Flaw.allCases)
    func findsFlaw(_ flaw: Flaw) async throws {
        let check = try #require(Self.checks.first { $0.description == flaw.check })
        await #expect(throws: ConformanceFailure.self) {
            try await check.run { policy in ConformanceSubject(store: FlawedStore(flaw, policy: policy)) }
        }
    }

    @Test("the same store without a flaw passes all of them", arguments: checks)
    func passesWithoutFlaw(_ check: StoreConformance.Check) async throws {
        let outcome = try await check.run { policy in ConformanceSubject(store: FlawedStore(nil, policy: policy)) }
        #expect(outcome == .passed)
    }

    @Test("every check is proven able to fail")
    func coverage() {
        let proven = Set(Flaw.allCases.map(\.check))
        #expect(Self.checks.map(\.description).filter { !proven.contains($0) } == [])
        #expect(Set(Self.checks.map(\.description)).count == Self.checks.count)
    }

    @Test("a store that is no directory, transfer target or lease store skips them, and they say so")
    func skips() async throws {
        for (checks, role) in [
            (StoreConformance.directoryChecks, "SessionDirectory"),
            (StoreConformance.transferChecks, "SessionTransfer"), (StoreConformance.leaseChecks, "RefreshLeaseStore"),
        ] {
            for check in checks {
                let outcome = try await check.run { policy in WrongStore.subject(nil, policy: policy) }
                #expect(outcome == .skipped("the store is no \(role)"))
            }
        }
    }
}
