public import Logging
import Metrics

/// Takes session events as they happen.
public protocol SessionEventListener: Sendable {
    /// Called where the event happens, by many tasks at once: it must be quick and must not wait.
    func receive(_ event: SessionEvent)
}

extension SessionEvent {
    /// The kind's name for logs and metrics.
    public var name: String {
        switch kind {
        case .began: "began"
        case .refreshed: "refreshed"
        case .refreshFailed: "refresh_failed"
        case .ended: "ended"
        case .denied: "denied"
        case .missed: "missed"
        }
    }

    /// Why, as a short code; `nil` where there is no reason to give.
    public var reason: String? {
        switch kind {
        case .ended(let reason): reason.rawValue
        case .refreshFailed(let reason), .denied(let reason): reason
        case .began, .refreshed, .missed: nil
        }
    }
}

/// Writes session events to a log, as an audit: which session, what, why. Never a user's name, a token or an ID.
public struct SessionEventLog: SessionEventListener {
    private let logger: Logger

    /// Makes a listener.
    ///
    /// - Parameter logger: gets what began, ended or was denied as `info`, failed refreshes as `warning`, the rest as `debug`.
    public init(logger: Logger) { self.logger = logger }

    public func receive(_ event: SessionEvent) {
        var metadata: Logger.Metadata = ["event": "\(event.name)"]
        if let session = event.session { metadata["session"] = "\(session)" }
        if let reason = event.reason { metadata["reason"] = "\(reason)" }
        switch event.kind {
        case .began: logger.info("A session began", metadata: metadata)
        case .ended: logger.info("A session ended", metadata: metadata)
        case .denied: logger.info("A request was denied", metadata: metadata)
        case .refreshed: logger.debug("A session's tokens were refreshed", metadata: metadata)
        case .refreshFailed: logger.warning("A session's tokens could not be refreshed", metadata: metadata)
        case .missed(let count):
            if let count { metadata["count"] = "\(count)" }
            logger.debug("Session events may have been missed", metadata: metadata)
        }
    }
}

/// Counts session events: `cloakroom_session_events_total`, with the labels `event` and `reason` (empty where there is none).
public struct SessionEventMetrics: SessionEventListener {
    /// Makes a listener.
    public init() {}

    public func receive(_ event: SessionEvent) {
        Counter(
            label: "cloakroom_session_events_total",
            dimensions: [("event", event.name), ("reason", event.reason ?? "")]
        ).increment()
    }
}
