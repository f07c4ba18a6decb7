import Cloakroom
import HTTPTypes
import Logging

/// A user's own sessions: the list, and ending them.
///
/// People get a page whose forms are guarded as that of logout is, by where they come from. Programs must send the static field
/// too, also to read.
extension AuthEndpoints {
    /// `GET /auth/sessions`: the list. `POST` (a form) or `DELETE`: ends all of the user's sessions but this one.
    func sessions(_ request: SessionRequest, in directory: any SessionDirectory) async throws -> HTTPAnswer {
        if request.head.method == .get || request.head.method == .head {
            let isPage = request.head.wantsPage
            // A link from anywhere may lead to the page; only what it shows is the user's, and no other site can read that.
            if !isPage { try check(request) }
            guard let live = try await request.session.current() else { return await withoutSession(request) }
            var listed: [SessionSummary] = []
            if let user = live.session.user {
                listed = try await storeCall { try await directory.sessions(ofUser: user) }
            }
            let page = UserSessionsPage(listed, current: live, paths: paths, providerTitle: providerTitle)
            return isPage ? .html(pages.html(for: page)) : .json(page.object)
        }
        try check(request)
        guard let live = try await request.session.current() else { return await withoutSession(request) }
        let count = try await endOthers(than: live, in: directory)
        request.logger.info(
            "A user ended their other sessions", metadata: ["count": "\(count)", "session": "\(live.id.handle)"])
        return isForm(request) ? .redirect(to: paths[.sessions]) : ended(count)
    }

    /// `DELETE /auth/sessions/{handle}`, or `POST` (a form): ends one of the user's sessions. Of this one it is a logout, but for
    /// the provider, where the user stays logged in.
    func session(_ request: SessionRequest, in directory: any SessionDirectory) async throws -> HTTPAnswer {
        try check(request)
        guard let live = try await request.session.current() else { return await withoutSession(request) }
        let name = request.head.pathWithoutQuery?.split(separator: "/").last.map(String.init)
        let handle = name.flatMap(SessionHandle.init)
        if handle == live.id.handle {
            try await endCurrent(live, request)
            var answer = isForm(request) ? HTTPAnswer.redirect(to: "/") : ended(1)
            answer.headers.add(cookies.endedSessionCookie, for: .setCookie)
            return answer
        }
        var isEnded = false
        if let handle, let user = live.session.user {
            isEnded = try await SessionEndReason.revokedByUser.around {
                try await storeCall { try await directory.deleteSession(handle, ofUser: user) }
            }
        }
        if isForm(request) { return .redirect(to: paths[.sessions]) }
        // Another user's session is answered like none.
        return isEnded ? ended(1) : .problem("no_such_session", status: .notFound)
    }

    /// `POST /auth/logout-everywhere`: ends all of the user's sessions, this one too, then the one at the identity provider.
    func logoutEverywhere(_ request: SessionRequest, in directory: any SessionDirectory) async throws -> HTTPAnswer {
        try check(request)
        guard let live = try await request.session.current() else { return await withoutSession(request) }
        // A login that another browser has under way ends with the others.
        if let user = live.session.user { try await notes.note(.user(user)) }
        // The others first: should that fail, the user still has a session to try again with.
        let count = try await endOthers(than: live, in: directory)
        try await endCurrent(live, request)
        let (state, isForm) = (randomText(), isForm(request))
        // No script gets to see a token, so a program's address goes without the hint: the provider may ask the user then.
        let providersPage = await providerLogout(
            idToken: isForm ? live.session.tokens.idToken : nil, state: state, request)
        var answer = leaving(to: providersPage, state: state)
        if !isForm {
            // A program can't follow a redirect to another origin; its page can go there.
            let cookies = answer.headers[values: .setCookie]
            answer = .json(["ended": .number(String(count + 1)), "logout_url": .string(providersPage ?? "/")])
            for cookie in cookies { answer.headers.add(cookie, for: .setCookie) }
        }
        return answer
    }

    // MARK: Parts

    private func endOthers(than live: LiveSession, in directory: any SessionDirectory) async throws -> Int {
        guard let user = live.session.user else { return 0 }
        return try await SessionEndReason.revokedByUser.around {
            try await storeCall { try await directory.deleteSessions(ofUser: user, except: live.id) }
        }
    }

    private func endCurrent(_ live: LiveSession, _ request: SessionRequest) async throws {
        try await SessionEndReason.logout.around {
            try await storeCall { try await store.deleteSession(live.id) }
        }
        request.session.forget()
        request.logger.log(
            level: events == nil ? .info : .debug, "A user logged out", metadata: ["session": "\(live.id.handle)"])
    }

    /// Whether a page's form was sent, rather than a program's request.
    private func isForm(_ request: SessionRequest) -> Bool {
        request.head.method == .post && request.head.wantsPage
    }

    /// - Throws: ``RequestFailure`` for a request that another site made, or a program without the static field.
    private func check(_ request: SessionRequest) throws {
        let headers = request.head.headerFields
        let refusal =
            isForm(request) ? requestGuard.refusalOfOrigin(headers) : requestGuard.refusal(ofAPIRequest: headers)
        guard let refusal else { return }
        events?.emit(SessionEvent(.denied(reason: refusal.rawValue)))
        let message =
            switch refusal {
            case .crossSite: "The request came from another site."
            case .missingHeader:
                "The request lacks the field \(requestGuard.headerName): \(requestGuard.headerValue)."
            }
        throw RequestFailure(
            name: refusal.rawValue,
            page: ErrorPage(
                status: .forbidden, title: "Nothing was done", message: message,
                requestID: request.id, action: .init(label: "Your sessions", path: paths[.sessions])))
    }

    private func withoutSession(_ request: SessionRequest) async -> HTTPAnswer {
        guard request.head.wantsPage else { return await unauthenticated(request) }
        let sessions = PercentCoding.encode(paths[.sessions])
        return .redirect(to: "\(paths[.login])?return_to=\(sessions)")
    }

    private func ended(_ count: Int) -> HTTPAnswer { .json(["ended": .number(String(count))]) }
}
