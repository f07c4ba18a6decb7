import Logging
import Synchronization

/// Tells the operator how a client's connections are: once when all are there, once when the first is lost, and why an
/// attempt failed when that changes.
final class ConnectionStatus: Sendable {
    private struct State {
        var connectedCount = 0
        var lastFailure: String?
    }

    private let total: Int
    private let url: RedisURL
    private let logger: Logger
    private let state = Mutex(State())

    init(total: Int, url: RedisURL, logger: Logger) {
        self.total = total
        self.url = url
        self.logger = logger
    }

    func connected() {
        let isComplete = state.withLock { state in
            state.connectedCount += 1
            guard state.connectedCount == total else { return false }
            state.lastFailure = nil
            return true
        }
        if isComplete { logger.info("Redis connection successful", metadata: ["url": "\(url)"]) }
    }

    func lost(_ reason: String) {
        let isFirst = state.withLock { state in
            state.connectedCount -= 1
            return state.connectedCount == total - 1
        }
        if isFirst { logger.warning("Redis connection lost", metadata: ["reason": "\(reason)"]) }
    }

    func failed(_ reason: String) {
        let isNews = state.withLock { state in
            defer { state.lastFailure = reason }
            return state.lastFailure != reason
        }
        logger.log(
            level: isNews ? .warning : .debug, "Redis connection failed, will try again",
            metadata: ["reason": "\(reason)"])
    }
}
