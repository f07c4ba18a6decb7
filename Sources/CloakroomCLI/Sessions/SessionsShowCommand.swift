import ArgumentParser
import Cloakroom
import CloakroomGateway
import CloakroomRedis

import struct Foundation.Date

struct SessionsShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show one session: what GET and TTL would say, without a secret.",
        discussion: """
            Looks through all sessions for the handle, which takes some seconds among a million. --show-secrets shows the record \
            as it is stored; a sealed one opens with the user's cookie alone.

            EXAMPLES
              cloakroom sessions show 5f2c9a0b1d3e4f5a6b7c8d9e
              cloakroom sessions show 5f2c9a0b1d3e4f5a6b7c8d9e --json

              The record as it is stored, tokens and all:
                cloakroom sessions show 5f2c9a0b1d3e4f5a6b7c8d9e --show-secrets

            EXIT CODES
              0 done, 1 failed or not found, 64 unknown flag, 69 Redis can't be reached, 78 wrong setting
            """
    )

    @OptionGroup var options: SettingsOptions
    @Argument(help: "The session's handle, as lists and the log show it.")
    var handle: String
    @Flag(help: "Print a JSON object.")
    var json = false
    @Flag(help: "Print the key and the record too. Whoever has them can be that user.")
    var showSecrets = false

    func run() async throws {
        try await failing {
            guard let wanted = SessionHandle(handle) else {
                throw Failure(
                    "\"\(LineLogHandler.visible(handle))\" is no handle: 24 characters 0-9 a-f", .validationFailure)
            }
            let details = try await OpenedSessions.with(options) { opened in
                let progress = Progress("looked at", of: try? await opened.store.estimatedSessionCount())
                defer { progress.end() }
                return try await opened.store.details(of: wanted) { progress.step($0) }
            }
            guard let details else { throw Failure("there is no session \(wanted)") }
            if showSecrets { Console.complain("Secrets follow: whoever has them can be that user.") }
            try json ? Output.standard.line(SessionText.json(object(wanted, details))) : show(wanted, details)
        }
    }

    private func object(_ handle: SessionHandle, _ details: SessionDetails) -> JSONObject {
        var object: JSONObject = details.summary.map(SessionText.object) ?? ["handle": .string(handle.description)]
        object["form"] = .string(details.form.rawValue)
        object["bytes"] = .number("\(details.bytes)")
        object["ttl_seconds"] = details.life.map { .number("\($0 / 1000)") } ?? .null
        object["is_refreshing"] = .bool(details.isRefreshing)
        if let tokens = details.session?.tokens {
            object["tokens"] = .object([
                "access_token": .bool(true), "refresh_token": .bool(tokens.refreshToken != nil),
                "id_token": .bool(tokens.idToken != nil),
                "access_token_ends_at": details.session?.accessTokenExpiresAt.map {
                    .string(Timestamp.format($0) + "Z")
                } ?? .null,
            ])
        } else {
            object["tokens"] = .null
        }
        if showSecrets {
            object["key"] = .string(details.secrets.key)
            object["record"] = .string(Self.text(details.secrets.record))
        }
        return object
    }

    private func show(_ handle: SessionHandle, _ details: SessionDetails) throws {
        let now = Date()
        var lines: [(String, String)] = [("handle", handle.description)]
        if let summary = details.summary {
            lines += [
                ("user", SessionText.user(summary)), ("sub", summary.subject ?? "-"),
                ("provider", summary.issuer ?? "-"), ("provider session", summary.providerSessionID ?? "-"),
                ("began", "\(SessionText.time(summary.createdAt)) UTC"),
                (
                    "ends",
                    "\(SessionText.time(summary.expiresAt)) UTC, in \(SessionText.duration(summary.expiresAt.timeIntervalSince(now)))"
                ),
                (
                    "idle",
                    summary.lastSeenAt.map { SessionText.duration(now.timeIntervalSince($0)) }
                        ?? "not known: uses are noted with SESSION_IDLE_TIMEOUT alone"
                ),
                ("device", SessionText.device(summary.client?.userAgent)),
                ("user agent", summary.client?.userAgent ?? "-"), ("address", summary.client?.address ?? "-"),
            ]
        } else {
            lines.append(("record", "can't be read here: is SESSION_KEYS the one that sealed it?"))
        }
        lines += [
            ("form", "\(details.form.rawValue), \(details.bytes) bytes"),
            ("TTL", details.life.map { SessionText.duration(Double($0) / 1000) } ?? "none: the key never ends"),
            ("tokens", tokens(details)),
            ("refresh", details.isRefreshing ? "a replica asks the provider now" : "none under way"),
        ]
        if showSecrets {
            lines += [("key", details.secrets.key), ("record", Self.text(details.secrets.record))]
        }
        let width = lines.map(\.0.count).max() ?? 0
        for (name, value) in lines {
            let padding = String(repeating: " ", count: width - name.count + 2)
            try Output.standard.line("\(name)\(padding)\(LineLogHandler.visible(value))")
        }
    }

    private func tokens(_ details: SessionDetails) -> String {
        guard let session = details.session else {
            return details.form == .sealed ? "sealed: they open with the user's cookie alone" : "-"
        }
        let names =
            ["access"] + (session.tokens.refreshToken == nil ? [] : ["refresh"])
            + (session.tokens.idToken == nil ? [] : ["ID"])
        let end = session.accessTokenExpiresAt.map { "; access ends \(SessionText.time($0)) UTC" } ?? ""
        return names.joined(separator: ", ") + end
    }

    /// JSON as it is, and other forms in base64url.
    private static func text(_ record: [UInt8]) -> String {
        record.first == UInt8(ascii: "{") ? String(decoding: record, as: UTF8.self) : Base64URL.encode(record)
    }
}
