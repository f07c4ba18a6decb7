import CloakroomOIDC
import Logging
import ServiceLifecycle

/// Asks the identity provider for its metadata at the start, so that a wrong setting shows in the log and not first at
/// someone's login.
struct ProviderWarmUp: Service {
    let relyingParty: RelyingParty
    let logger: Logger

    func run() async throws {
        // A task of its own: stopping must not wait for a provider that does not answer.
        let attempt = Task {
            do {
                try await relyingParty.warmUp()
            } catch  where !Task.isCancelled {
                logger.warning("The identity provider can't be used yet", metadata: ["error": "\(error)"])
            }
        }
        defer { attempt.cancel() }
        try await gracefulShutdown()
    }
}
