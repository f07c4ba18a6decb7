import ArgumentParser
import Cloakroom
import CloakroomGateway
import CloakroomRedis
import Logging

import struct Foundation.Date

struct SessionsWatchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Show sessions as they begin, change and end, until Ctrl-C.",
        discussion: """
            Redis reports each change of a session's key, whoever makes it, so it costs Redis nothing while nothing happens. Why a \
            session ended is in the log and the audit of the replica that ended it. The user needs +client|tracking.

            EXAMPLES
              cloakroom sessions watch
              cloakroom sessions watch --json | jq 'select(.event == "ended")'

            EXIT CODES
              1 failed, 64 unknown flag, 69 Redis can't be reached, 78 wrong setting, 130 Ctrl-C, 141 nobody reads any more
            """
    )

    @OptionGroup var options: SettingsOptions
    @Flag(help: "Print a JSON object a line.")
    var json = false

    func run() async throws {
        try await failing {
            let settings = try await OpenedSessions.settings(options)
            let factory = StoreFactory(settings: settings, logger: OpenedSessions.silent)
            var configuration = try factory.primary()
            configuration.nearCache = nil
            let watch = SessionWatch(configuration, policy: factory.policy, logger: OpenedSessions.silent)
            do {
                try await watch.run { change in try show(change) }
            } catch let error as SessionStoreError {
                throw OpenedSessions.failure(error)
            }
        }
    }

    private func show(_ change: SessionWatch.Change) throws {
        let (event, handle, summary): (String, SessionHandle?, SessionSummary?)
        switch change {
        case .watching:
            if !json { Console.complain("Watching; Ctrl-C ends it.") }
            return
        case .began(let session): (event, handle, summary) = ("began", session.handle, session)
        case .changed(let session): (event, handle, summary) = ("changed", session.handle, session)
        case .ended(let ended): (event, handle, summary) = ("ended", ended, nil)
        case .unreadable(let session): (event, handle, summary) = ("unreadable", session, nil)
        case .missed: (event, handle, summary) = ("missed", nil, nil)
        }
        let now = Date()
        if json {
            var object: JSONObject = ["time": .string(Timestamp.format(now) + "Z"), "event": .string(event)]
            if let handle { object["handle"] = .string(handle.description) }
            for member in summary.map(SessionText.object)?.members ?? [] { object[member.name] = member.value }
            return try Output.standard.line(SessionText.json(object))
        }
        var line = "\(SessionText.time(now))  \(event)"
        if let handle { line += "  \(handle)" }
        if let summary {
            line += "  \(LineLogHandler.visible(SessionText.user(summary)))"
            line += "  \(LineLogHandler.visible(SessionText.device(summary.client?.userAgent)))"
        }
        try Output.standard.line(line)
    }
}
