import Cloakroom
import Foundation
import Logging
import TestSupport
import Testing

@testable import CloakroomGateway

@Suite struct AuditTests {
    private func scratch() throws -> URL {
        let url = FileManager.default.temporaryDirectory.appending(path: "audit-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        return url
    }

    private func lines(_ url: URL) throws -> [JSONObject] {
        try String(contentsOf: url, encoding: .utf8).split(separator: "\n").map {
            try #require(try JSONValue(parsing: Array($0.utf8)).object)
        }
    }

    private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    @Test("A line says who, what, from where, which session, with what outcome; and only the owner may read the file")
    func line() throws {
        let file = try scratch().appending(path: "audit.jsonl")
        let writer = try AuditWriter(path: file.path, logger: Self.quiet)
        let audit = AuditLog(writer: writer, isRequired: false, replica: "one")
        let handle = SessionID().handle
        let origin = RequestOrigin(
            client: SessionClient(userAgent: "Agent\n\u{1B}[31m", address: "203.0.113.7"), requestID: "r1")
        RequestOrigin.$current.withValue(origin) {
            audit.receive(SessionEvent(.began, session: handle, user: UserIdentity(issuer: "https://i", subject: "u1")))
        }
        audit.receive(SessionEvent(.ended(.revokedByProvider), session: handle))
        audit.receive(SessionEvent(.refreshFailed(reason: "provider_unavailable"), session: handle))
        audit.receive(SessionEvent(.missed(count: 3)))
        writer.flush()
        let all = try lines(file)
        try #require(all.count == 3)
        #expect(
            all[0].members.map(\.name).sorted() == [
                "address", "event", "issuer", "outcome", "replica", "request_id", "session", "time", "user",
                "user_agent",
            ])
        #expect(all[0]["user"]?.string == "u1" && all[0]["address"]?.string == "203.0.113.7")
        #expect(all[0]["session"]?.string == handle.description && all[0]["outcome"]?.string == "success")
        #expect(all[0]["user_agent"]?.string == "Agent\n\u{1B}[31m")
        #expect(all[1]["reason"]?.string == "revoked_by_provider" && all[1]["request_id"] == nil)
        #expect(all[2]["outcome"]?.string == "failure")
        let mode = try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
    }

    @Test("A file that was rotated away or removed is opened anew, and nothing is lost")
    func rotation() throws {
        let directory = try scratch()
        let file = directory.appending(path: "audit.jsonl")
        let writer = try AuditWriter(path: file.path, logger: Self.quiet)
        func write(_ number: Int) {
            writer.write(["number": .number("\(number)")])
            writer.flush()
        }
        write(1)
        try FileManager.default.moveItem(at: file, to: directory.appending(path: "audit.1"))
        write(2)
        try FileManager.default.removeItem(at: file)
        write(3)
        #expect(try lines(directory.appending(path: "audit.1")).count == 1)
        #expect(try lines(file).map { $0["number"] } == [.number("3")])
        #expect(!writer.isFailing)
    }

    #if os(Linux)
    @Test("A full disk loses lines and nothing else: it is counted, said once, and over when there is room")
    func fullDisk() throws {
        let directory = try scratch()
        let link = directory.appending(path: "audit.jsonl")
        try FileManager.default.createSymbolicLink(atPath: link.path, withDestinationPath: "/dev/full")
        let log = RecordingLog()
        let writer = try AuditWriter(path: link.path, logger: log.logger)
        let audit = AuditLog(writer: writer, isRequired: true, replica: nil)
        #expect(!audit.refusesLogins)
        for _ in 0..<5 {
            audit.receive(SessionEvent(.began))
            writer.flush()
        }
        #expect(writer.isFailing && audit.refusesLogins)
        #expect(log.lines.count { $0.contains("can't be written") } == 1)
        try FileManager.default.removeItem(at: link)
        audit.receive(SessionEvent(.denied(reason: "audit_unavailable"), session: SessionID().handle))
        writer.flush()
        #expect(!writer.isFailing && !audit.refusesLogins)
        #expect(log.lines.contains { $0.contains("written again") })
        #expect(try lines(link).count == 1)
    }
    #endif

    @Test("R53: refusals without a session are bounded for each second, and those left out are counted")
    func strangers() throws {
        let file = try scratch().appending(path: "audit.jsonl")
        let writer = try AuditWriter(path: file.path, logger: Self.quiet)
        let audit = AuditLog(writer: writer, isRequired: false, replica: nil)
        let second = Date(timeIntervalSince1970: 1_800_000_000)
        for _ in 0..<1000 { audit.receive(SessionEvent(.denied(reason: "csrf_required"), time: second)) }
        // Those of sessions are not strangers'.
        audit.receive(SessionEvent(.denied(reason: "csrf_required"), session: SessionID().handle, time: second))
        audit.receive(SessionEvent(.denied(reason: "csrf_required"), time: second + 1))
        writer.flush()
        let all = try lines(file)
        #expect(all.count == AuditLog.strangersASecond + 3)
        let omitted = all.first { $0["event"]?.string == "denied_omitted" }
        #expect(omitted?["count"] == .number("\(1000 - AuditLog.strangersASecond)"))
    }

    @Test("A file that can't be opened is a wrong setting")
    func unusable() throws {
        var settings = GatewaySettings()
        settings.management.auditLog = "/nowhere/at/all"
        #expect(throws: SettingsError.self) { try AuditLog(settings, logger: Self.quiet) }
    }
}
