import Cloakroom
import CloakroomTesting
import TestSupport
import Testing

/// A suite that every store passes is worth nothing: wrong stores must fail it.
@Suite struct ConformanceSuiteTests {
    @Test("a store with a mistake fails the check for it")
    func findsMistake() async {
        await sideBySide(Mistake.allCases) { mistake in
            await expectFailure(of: mistake.check, in: StoreConformance.checks, "\(mistake)") { policy in
                WrongStore.subject(mistake, policy: policy)
            }
        }
    }

    @Test("the same store without a mistake passes all of them")
    func passesWithoutMistake() async {
        await conform(StoreConformance.checks) { policy in WrongStore.subject(nil, policy: policy) }
    }
}

/// The same for the checks of directories, transfer targets and leases.
@Suite struct ExtendedConformanceSuiteTests {
    private static let checks =
        StoreConformance.directoryChecks + StoreConformance.transferChecks + StoreConformance.leaseChecks
        + StoreConformance.attributeChecks + StoreConformance.endNoteChecks

    @Test("a store with a flaw fails the check for it")
    func findsFlaw() async {
        await sideBySide(Flaw.allCases) { flaw in
            await expectFailure(of: flaw.check, in: Self.checks, "\(flaw)") { policy in
                ConformanceSubject(store: FlawedStore(flaw, policy: policy))
            }
        }
    }

    @Test("the same store without a flaw passes all of them")
    func passesWithoutFlaw() async {
        await conform(Self.checks) { policy in ConformanceSubject(store: FlawedStore(nil, policy: policy)) }
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
            (StoreConformance.endNoteChecks, "SessionDirectory with SessionEndNotes"),
        ] {
            for check in checks {
                let outcome = try await check.run { policy in WrongStore.subject(nil, policy: policy) }
                #expect(outcome == .skipped("the store is no \(role)"))
            }
        }
    }
}

/// Puts stores in memory to checks: a store of its own for each, side by side, as they mostly wait.
func conform(_ checks: [StoreConformance.Check], _ makeSubject: @escaping StoreConformance.MakeSubject) async {
    await sideBySide(checks) { check in
        do {
            let outcome = try await check.run(makeSubject)
            #expect(outcome == .passed, "\(check)")
        } catch {
            Issue.record("\(check): \(error)")
        }
    }
}

/// Expects that a store breaks the promise with this name.
private func expectFailure(
    of name: String, in checks: [StoreConformance.Check], _ comment: Comment,
    _ makeSubject: @escaping StoreConformance.MakeSubject
) async {
    guard let check = checks.first(where: { $0.description == name }) else {
        Issue.record("\(comment): no check has the name \(name)")
        return
    }
    await #expect(throws: ConformanceFailure.self, comment) { try await check.run(makeSubject) }
}
