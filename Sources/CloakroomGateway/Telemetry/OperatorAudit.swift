package import Cloakroom
import Foundation
package import Logging

/// What operators end from the command line, in the same audit as the gateway's own lines.
///
/// Only in a file: on standard output stands what the command says.
package struct OperatorAudit: Sendable {
    private let writer: AuditWriter?
    private let operatorName: String

    /// Opens the file of `AUDIT_LOG`, if it names one.
    ///
    /// - Throws: ``SettingsError`` when it can't be opened.
    package init(_ settings: GatewaySettings, logger: Logger) throws {
        let place = settings.management.auditLog
        writer = place == nil || place == "stdout" ? nil : try AuditWriter.opened(settings, logger: logger)
        // Who became root, rather than root.
        operatorName = ProcessInfo.processInfo.environment["SUDO_USER"] ?? NSUserName()
    }

    /// Notes the end of a session.
    ///
    /// - Parameter user: whose it was, where that is known.
    package func ended(_ session: SessionHandle, user: UserIdentity?) {
        var line = line("ended")
        line["session"] = .string(session.description)
        if let user { line["user"] = .string(user.subject) }
        if let issuer = user?.issuer { line["issuer"] = .string(issuer) }
        writer?.write(line)
    }

    /// Notes the end of all sessions.
    package func endedAll(count: Int) {
        var line = line("ended_all")
        line["count"] = .number("\(count)")
        writer?.write(line)
    }

    /// Waits until all is written, but not for long.
    package func flush() { writer?.flush() }

    private func line(_ event: String) -> JSONObject {
        [
            "time": .string(LineLogHandler.time(Date())), "event": .string(event), "outcome": "success",
            "reason": .string(SessionEndReason.revokedByOperator.rawValue), "operator": .string(operatorName),
        ]
    }
}
