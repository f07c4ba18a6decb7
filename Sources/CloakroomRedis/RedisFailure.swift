import Cloakroom
import CloakroomRedisClient

/// Turns what the client throws into what a store throws.
enum RedisFailure {
    /// - Parameter mayBeInPart: whether several servers are asked, or a part was sent before, so that no single refusal
    ///   tells what became of the whole.
    static func storeError(_ error: any Error, mayBeInPart: Bool = false) -> any Error {
        switch error {
        case let error as RedisServerError:
            SessionStoreError(code(of: error), reason: error.description, isOutcomeKnown: !mayBeInPart)
        case let error as RedisClientError:
            SessionStoreError(
                code(of: error), reason: "Redis: \(error.reason)",
                isOutcomeKnown: error.isCertainlyNotCarriedOut && !mayBeInPart)
        default: error  // Cancellation, and errors of the store itself.
        }
    }

    private static func code(of error: RedisServerError) -> SessionStoreError.Code {
        switch error.kind {
        case .loading, .primaryDown, .clusterDown, .tryAgain, .scriptBusy, .tooManyClients: .unavailable
        default: .rejected
        }
    }

    private static func code(of error: RedisClientError) -> SessionStoreError.Code {
        error.code == .handshakeRefused ? .rejected : .unavailable
    }
}
