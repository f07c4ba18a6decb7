import Cloakroom
import CloakroomHTTP
import Foundation
import HTTPTypes
import Mustache

/// The gateway's own pages.
struct Pages: ErrorPageRenderer {
    private let library: MustacheLibrary
    private let providerName: String
    private let replicaName: String?
    private let hasUpstream: Bool

    init(providerName: String, replicaName: String?, hasUpstream: Bool) throws {
        MustacheContentTypes.register(HTMLContent(), named: HTMLContent.name)
        var library = MustacheLibrary()
        for (name, body) in Templates.pages {
            try library.register("{{% CONTENT_TYPE:\(HTMLContent.name)}}" + Templates.around(body), named: name)
        }
        self.library = library
        self.providerName = providerName
        self.replicaName = replicaName
        self.hasUpstream = hasUpstream
    }

    /// For visitors.
    ///
    /// - Parameter notice: what has just happened, such as why a visitor is no user any more.
    func landing(notice: String? = nil) -> String {
        var values: [String: Any] = ["title": "Welcome", "provider": providerName]
        values["notice"] = notice
        return render("landing", values)
    }

    /// For the user who is logged in.
    func user(_ live: LiveSession) -> String {
        let user = live.session.userInfo
        var values: [String: Any] = [
            "title": "Logged in",
            "name": user.name ?? user.preferredUsername ?? user.subject ?? "You",
            "began": Self.time(live.session.createdAt),
            "ends": Self.time(live.session.expiresAt),
            "handle": live.id.handle.description,
        ]
        values["email"] = user.email
        values["username"] = user.preferredUsername
        values["upstream"] = hasUpstream
        return render("user", values)
    }

    func html(for page: ErrorPage) -> String {
        var values: [String: Any] = [
            "title": page.title, "message": page.message, "requestID": page.requestID,
            "status": "\(page.status.code)",
        ]
        if let action = page.action {
            values[action.isForm ? "form" : "link"] = ["path": action.path, "label": action.label]
        }
        return render("error", values)
    }

    func html(for page: UserSessionsPage) -> String {
        let sessions = page.entries.map { entry -> [String: Any] in
            var values: [String: Any] = [
                "device": entry.device, "began": Self.time(entry.began), "ends": Self.time(entry.ends),
                "handle": entry.handle.description, "path": AuthEndpoint.path(ofSession: entry.handle),
                "current": entry.isCurrent,
            ]
            values["used"] = entry.lastUsed.map(Self.time)
            values["address"] = entry.address
            values["provider"] = entry.provider
            return values
        }
        var values: [String: Any] = [
            "title": "Your sessions", "sessions": sessions, "others": page.entries.count > 1,
        ]
        if page.hiddenCount > 0 { values["hidden"] = "\(page.hiddenCount)" }
        return render("sessions", values)
    }

    private func render(_ name: String, _ values: [String: Any]) -> String {
        var values = values
        values["replica"] = replicaName
        return library.render(values, withTemplate: name) ?? ""
    }

    /// UTC, to the minute and in a form that everyone reads alike.
    private static func time(_ date: Date) -> String {
        date.formatted(
            Date.VerbatimFormatStyle(
                format: """
                    \(year: .padded(4))-\(month: .twoDigits)-\(day: .twoDigits) \
                    \(hour: .twoDigits(clock: .twentyFourHour, hourCycle: .zeroBased)):\(minute: .twoDigits) UTC
                    """,
                locale: Locale(identifier: "en_US_POSIX"),
                timeZone: .gmt, calendar: Calendar(identifier: .gregorian)))
    }
}
