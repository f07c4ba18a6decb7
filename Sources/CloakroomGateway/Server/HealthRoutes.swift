import Cloakroom
import CloakroomHummingbird
import HTTPTypes
import Hummingbird
import Logging

/// `/healthz`: the process answers. `/readyz`: it can serve users, as its store answers.
///
/// The identity provider does not count: while it is away, everyone who is logged in can be served, and taking all
/// replicas out at once would help nobody.
struct HealthRoutes: Sendable {
    let store: any SessionStore
    let storeName: String
    let deadline: Duration = .seconds(2)

    func add(to router: some RouterMethods<GatewayContext>) {
        router.get("/healthz") { _, _ in Response.json(["status": "ok"]) }
        router.get("/readyz", use: ready)
    }

    @Sendable private func ready(_ request: Request, _ context: GatewayContext) async throws -> Response {
        guard let reason = await reasonNotReady() else {
            return .json(["status": "ready", "store": .string(storeName)])
        }
        return .json(
            ["status": "not ready", "store": .string(storeName), "reason": .string(reason)],
            status: .serviceUnavailable, headers: [.retryAfter: FailureMiddleware<GatewayContext>.retryAfter])
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
