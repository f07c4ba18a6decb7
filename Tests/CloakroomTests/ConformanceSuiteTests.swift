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
