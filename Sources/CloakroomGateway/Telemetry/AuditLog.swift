import Cloakroom
import Foundation
import Logging
import Synchronization

/// Writes session events and refusals as an audit: who, what, from where, which session, with what outcome. One JSON object a
/// line, apart from the log.
///
/// It never holds a token or an ID. What strangers can make it write is bounded (R53): of refusals without a session, it has
/// some each second, and then how many it left out.
final class AuditLog: SessionEventListener {
    /// How many refusals without a session are written in a second.
    static let strangersASecond = 50

    private struct Strangers {
        var second = 0
        var written = 0
        var omitted = 0
    }

    let isRequired: Bool
    private let writer: AuditWriter
    private let replica: String?
    private let strangers = Mutex(Strangers())

    init(writer: AuditWriter, isRequired: Bool, replica: String?) {
        self.writer = writer
        self.isRequired = isRequired
        self.replica = replica
    }

    /// The audit that the settings ask for; `nil` where there is none.
    ///
    /// - Throws: ``SettingsError`` when its file can't be opened.
    convenience init?(_ settings: GatewaySettings, logger: Logger) throws {
        guard settings.management.auditLog != nil else { return nil }
        let writer = try AuditWriter.opened(settings, logger: logger)
        self.init(writer: writer, isRequired: settings.management.isAuditRequired, replica: settings.replicaName)
    }

    /// Waits until all is written, but not for long.
    func flush() { writer.flush() }

    /// Whether nobody may log in now, as that could not be written.
    var refusesLogins: Bool { isRequired && writer.isFailing }

    func receive(_ event: SessionEvent) {
        switch event.kind {
        // Not of a session.
        case .missed: return
        case .denied where event.session == nil:
            guard let omitted = admitStranger(event.time) else { return }
            if omitted > 0 { write(omitted, event.time) }
        default: break
        }
        var line: JSONObject = [
            "time": .string(LineLogHandler.time(event.time)), "event": .string(event.name),
            "outcome": event.isSuccess ? "success" : "failure",
        ]
        func add(_ name: String, _ value: String?) { if let value { line[name] = .string(value) } }
        add("reason", event.reason)
        add("session", event.session?.description)
        add("user", event.user?.subject)
        add("issuer", event.user?.issuer)
        add("address", event.origin?.client.address)
        add("user_agent", event.origin?.client.userAgent)
        add("request_id", event.origin?.requestID)
        add("replica", replica)
        writer.write(line)
    }

    /// - Returns: how many refusals were left out since the last that was written; `nil` if this one is to be left out.
    private func admitStranger(_ time: Date) -> Int? {
        strangers.withLock { strangers in
            let second = Int(time.timeIntervalSince1970)
            if second != strangers.second {
                strangers.second = second
                strangers.written = 0
            }
            guard strangers.written < Self.strangersASecond else {
                strangers.omitted += 1
                return nil
            }
            strangers.written += 1
            defer { strangers.omitted = 0 }
            return strangers.omitted
        }
    }

    private func write(_ omitted: Int, _ time: Date) {
        var line: JSONObject = [
            "time": .string(LineLogHandler.time(time)), "event": "denied_omitted", "outcome": "failure",
            "count": .number("\(omitted)"),
        ]
        if let replica { line["replica"] = .string(replica) }
        writer.write(line)
    }
}

extension AuditWriter {
    /// Opens where `AUDIT_LOG` says.
    ///
    /// - Throws: ``SettingsError`` when its file can't be opened.
    static func opened(_ settings: GatewaySettings, logger: Logger) throws -> AuditWriter {
        let place = settings.management.auditLog ?? "stdout"
        do throws(AuditWriterError) {
            return try AuditWriter(path: place == "stdout" ? nil : place, logger: logger)
        } catch {
            throw SettingsError.wrong(
                "AUDIT_LOG", value: place, because: error.description,
                expected: "stdout or the path of a file that can be written to")
        }
    }
}

extension SessionEvent {
    /// Whether what was asked for was done.
    fileprivate var isSuccess: Bool {
        switch kind {
        case .began, .refreshed, .ended: true
        case .refreshFailed, .denied, .missed: false
        }
    }
}
