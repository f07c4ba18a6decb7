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

    /// - Parameter tellsWhy: whether the answer says which store it is and why it is not ready: for operators, not for the
    ///   public.
    func readiness(tellsWhy: Bool) async -> HTTPAnswer {
        let reason = await reasonNotReady()
        var answer: JSONObject = ["status": reason == nil ? "ready" : "not ready"]
        if tellsWhy {
            answer["store"] = .string(storeName)
            if let reason { answer["reason"] = .string(reason) }
        }
        guard reason != nil else { return .json(answer) }
        return .json(
            answer, status: .serviceUnavailable, headers: [.retryAfter: FailureAnswers.retryAfter])
    }

    private func reasonNotReady() async -> String? {
        let store = store
        let answer = await valueInTime(deadline) { () -> String? in
            do {
                try await storeCall { try await store.ping() }
                return nil
            } catch {
                return (error as? SessionStoreError)?.description ?? "the store did not answer"
            }
        }
        guard let answer else { return "the store did not answer within \(deadline)" }
        return answer
    }
}
