import Cloakroom
import CloakroomHTTP
import HTTPTypes

/// `/healthz`: the process answers. `/readyz`: it can serve users, as its store answers.
///
/// The identity provider does not count: while it is away, everyone who is logged in can be served, and taking all
/// replicas out at once would help nobody.
struct HealthAnswers: Sendable {
    let store: any SessionStore
    let storeName: String
    let deadline: Duration = .seconds(2)

    func readiness() async -> HTTPAnswer {
        guard let reason = await reasonNotReady() else {
            return .json(["status": "ready", "store": .string(storeName)])
        }
        return .json(
            ["status": "not ready", "store": .string(storeName), "reason": .string(reason)],
            status: .serviceUnavailable, headers: [.retryAfter: FailureAnswers.retryAfter])
    }

    private func reasonNotReady() async -> String? {
        await withTaskGroup(of: String?.self) { group in
            group.addTask {
                do {
                    try await storeCall { try await store.ping() }
                    return nil
                } catch {
                    return (error as? SessionStoreError)?.description ?? "the store did not answer"
                }
            }
            group.addTask {
                try? await Task.sleep(for: deadline)
                return "the store did not answer within \(deadline)"
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
    }
}
