import Logging
import Metrics

/// Notes what a hybrid store's secondary failed at.
struct SecondaryFailures: Sendable {
    private let logger: Logger
    private let counter = Counter(label: "cloakroom_hybrid_secondary_failures_total")

    init(logger: Logger) { self.logger = logger }

    func note(_ id: SessionID?, _ error: any Error) {
        counter.increment()
        var metadata: Logger.Metadata = [
            "error": "\((error as? SessionStoreError)?.description ?? "\(type(of: error))")"
        ]
        if let id { metadata["session"] = "\(id.handle)" }
        logger.warning("the secondary store failed", metadata: metadata)
    }
}
