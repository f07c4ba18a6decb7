import Logging
import Metrics
import Synchronization

/// Tells the operator how a client's connections are: that Redis can be reached, that it can't any more, and why, once for
/// each reason rather than once for each attempt.
final class ConnectionStatus: Sendable {
    private struct State {
        var connectedCount = 0
        var lastFailure: String?
    }

    private let opened = Counter(label: "cloakroom_redis_connections_opened_total")
    private let lost = Counter(label: "cloakroom_redis_connections_lost_total")
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
        opened.increment()
        let count = state.withLock { state in
            state.connectedCount += 1
            if state.connectedCount == total { state.lastFailure = nil }
            return state.connectedCount
        }
        if count == 1 {
            logger.info("Redis connection successful", metadata: ["url": "\(url)"])
        } else {
            logger.debug("Further Redis connection", metadata: ["connections": "\(count) of \(total)"])
        }
    }

    func lost(_ reason: String) {
        lost.increment()
        let count = state.withLock { state in
            state.connectedCount -= 1
            return state.connectedCount
        }
        logger.log(
            level: count == 0 ? .warning : .notice, "Redis connection lost",
            metadata: ["reason": "\(reason)", "connections": "\(count) of \(total)"])
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
