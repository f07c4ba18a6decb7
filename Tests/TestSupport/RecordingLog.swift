package import Logging
import Synchronization

/// Keeps what is logged, as `level: message key=value …`.
package final class RecordingLog: Sendable {
    private let kept = Mutex<[String]>([])

    package init() {}

    package var lines: [String] { kept.withLock { $0 } }

    package var text: String { lines.joined(separator: "\n") }

    package var logger: Logger { Logger(label: "test") { _ in Handler(log: self) } }

    private struct Handler: LogHandler {
        let log: RecordingLog
        var metadata: Logger.Metadata = [:]
        var logLevel: Logger.Level = .trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let all = metadata.merging(event.metadata ?? [:]) { $1 }
            let suffix = all.map { " \($0)=\($1)" }.sorted().joined()
            log.kept.withLock { $0.append("\(event.level): \(event.message)\(suffix)") }
        }
    }
}
