import Cloakroom
import CloakroomRedisClient

/// Turns what the client throws into what a store throws.
enum RedisFailure {
    static func storeError(_ error: any Error) -> any Error {
        switch error {
        case let error as RedisServerError: SessionStoreError(code(of: error), reason: error.description)
        case let error as RedisClientError: SessionStoreError(code(of: error), reason: "Redis: \(error.reason)")
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
