import CloakroomOIDC
import Logging
import ServiceLifecycle

/// Asks the identity provider for its metadata at the start, so that a wrong setting shows in the log and not first at
/// someone's login.
struct ProviderWarmUp: Service {
    let relyingParty: RelyingParty
    let logger: Logger

    func run() async throws {
        do {
            try await cancelWhenGracefulShutdown { try await relyingParty.warmUp() }
        } catch let error as OIDCError {
            logger.warning("The identity provider can't be used yet", metadata: ["error": "\(error)"])
        } catch is CancellationError {
            return
        }
        try await gracefulShutdown()
    }
}
