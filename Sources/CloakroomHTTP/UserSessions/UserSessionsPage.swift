public import Cloakroom

public import struct Foundation.Date

/// A user's own sessions, as a page or JSON shows them: this one first, then the newest.
public struct UserSessionsPage: Sendable {
    /// One session.
    public struct Entry: Sendable {
        /// By what it is ended.
        public var handle: SessionHandle
        /// Whether it is the session of this request.
        public var isCurrent: Bool
        /// When it began.
        public var began: Date
        /// When it was last used; `nil` without an idle limit, as then no use is noted.
        public var lastUsed: Date?
        /// When it ends whatever happens.
        public var ends: Date
        /// The browser in which it began, such as "Firefox on Linux".
        public var device: String
        /// The address from which it began.
        public var address: String?
        /// Who logged the user in.
        public var provider: String?

        /// Makes an entry.
        public init(
            handle: SessionHandle, isCurrent: Bool, began: Date, lastUsed: Date? = nil, ends: Date, device: String,
            address: String? = nil, provider: String? = nil
        ) {
            self.handle = handle
            self.isCurrent = isCurrent
            self.began = began
            self.lastUsed = lastUsed
            self.ends = ends
            self.device = device
            self.address = address
            self.provider = provider
        }
    }

    /// How many sessions are shown at most.
    public static let maximumCount = 500

    /// The sessions.
    public var entries: [Entry]
    /// How many older ones are not shown.
    public var hiddenCount: Int
    /// Where the forms lead to: the list to end all others, one session to end it, and logout everywhere.
    public var paths: AuthPaths

    /// Makes a page.
    public init(entries: [Entry], hiddenCount: Int = 0, paths: AuthPaths = [:]) {
        self.paths = paths
        self.entries = entries
        self.hiddenCount = hiddenCount
    }

    /// - Parameters:
    ///   - listed: the user's sessions.
    ///   - current: that of the request, which may be missing in the list.
    ///   - paths: where the forms lead to.
    ///   - providerTitle: what people call the provider with this issuer.
    init(_ listed: [SessionSummary], current: LiveSession, paths: AuthPaths = [:], providerTitle: (String?) -> String?)
    {
        self.paths = paths
        let handle = current.id.handle
        let own =
            listed.first { $0.handle == handle }
            ?? SessionSummary(of: current.session, handle: handle, lastSeenAt: nil)
        let all = [own] + listed.filter { $0.handle != handle }.sorted { $0.createdAt > $1.createdAt }
        entries = all.prefix(Self.maximumCount).map { summary in
            Entry(
                handle: summary.handle, isCurrent: summary.handle == handle, began: summary.createdAt,
                lastUsed: summary.lastSeenAt, ends: summary.expiresAt,
                device: DeviceName.of(userAgent: summary.client?.userAgent), address: summary.client?.address,
                provider: providerTitle(summary.issuer))
        }
        hiddenCount = all.count - entries.count
    }

    /// For programs: `{"sessions": [{"handle", "current", "began", "last_used", "ends", "device", "address", "provider"}]}`,
    /// with `more` where some are not shown. Times are UTC (RFC 3339).
    var object: JSONObject {
        var object: JSONObject = ["sessions": .array(entries.map(Self.value))]
        if hiddenCount > 0 { object["more"] = .number(String(hiddenCount)) }
        return object
    }

    private static func value(_ entry: Entry) -> JSONValue {
        .object([
            "handle": .string(entry.handle.description), "current": .bool(entry.isCurrent),
            "began": time(entry.began), "last_used": time(entry.lastUsed), "ends": time(entry.ends),
            "device": .string(entry.device), "address": text(entry.address), "provider": text(entry.provider),
        ])
    }

    private static func time(_ date: Date?) -> JSONValue { text(date.map { Timestamp.format($0) + "Z" }) }

    private static func text(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }
}

extension ErrorPageRenderer {
    /// A plain list, for renderers that do not make their own.
    public func html(for page: UserSessionsPage) -> String {
        let rows = page.entries.map { entry in
            let end =
                entry.isCurrent
                ? "<strong>This session</strong>"
                : Self.form(page.paths.path(ofSession: entry.handle), "End")
            let cells = [
                entry.device, entry.address ?? "", entry.provider ?? "", Self.time(entry.began),
                entry.lastUsed.map(Self.time) ?? "", Self.time(entry.ends),
            ]
            return "<tr>" + cells.map { "<td>\(HTMLText.escape($0))</td>" }.joined() + "<td>\(end)</td></tr>"
        }
        let titles = ["Browser", "Address", "Provider", "Since", "Last used", "Until", ""]
        let more = page.hiddenCount > 0 ? "<p>\(page.hiddenCount) older sessions are not shown.</p>" : ""
        return """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><title>Your sessions</title></head>
            <body><h1>Your sessions</h1>
            <table><thead><tr>\(titles.map { "<th scope=\"col\">\($0)</th>" }.joined())</tr></thead>
            <tbody>\(rows.joined(separator: "\n"))</tbody></table>\(more)
            \(page.entries.count > 1 ? Self.form(page.paths[.sessions], "End all others") : "")
            \(Self.form(page.paths[.logoutEverywhere], "Log out everywhere"))
            </body></html>
            """
    }

    private static func form(_ path: String, _ label: String) -> String {
        "<form method=\"post\" action=\"\(HTMLText.escape(path))\"><button>\(HTMLText.escape(label))</button></form>"
    }

    private static func time(_ date: Date) -> String {
        Timestamp.format(date).replacing("T", with: " ", maxReplacements: 1) + " UTC"
    }
}
