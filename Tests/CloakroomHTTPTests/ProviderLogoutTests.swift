import Cloakroom
import HTTPTypes
import Logging
import Synchronization
import Testing

import struct Foundation.Date

@testable import CloakroomHTTP

private let providerIssuer = "https://id.example.com"

@Suite("Logouts that begin at the provider")
struct ProviderLogoutTests {
    /// Stands for the verification, which has tests of its own: a token is `sid=S jti=J`, `sub=S jti=J`, or a refusal.
    struct Tokens: ProviderLogouts {
        func verify(logoutToken: String) async throws(OIDCError) -> ProviderLogout {
            if logoutToken == "away" { throw OIDCError(.providerUnavailable, reason: "the keys can't be had") }
            var values: [Substring: String] = [:]
            for part in logoutToken.split(separator: " ") {
                let pair = part.split(separator: "=", maxSplits: 1)
                if pair.count == 2 { values[pair[0]] = String(pair[1]) }
            }
            guard let tokenID = values["jti"] else { throw OIDCError(.invalidLogoutToken, reason: "it is wrong") }
            let subject: ProviderLogout.Subject =
                if let sid = values["sid"] {
                    .session(ProviderSession(issuer: providerIssuer, sid: sid))
                } else {
                    .user(UserIdentity(issuer: providerIssuer, subject: values["sub"] ?? ""))
                }
            return ProviderLogout(
                subject: subject, issuer: providerIssuer, tokenID: tokenID,
                acceptedUntil: Date(timeIntervalSinceNow: 120))
        }

        func pageOrigins(ofIssuer issuer: String) async -> [String]? {
            issuer == providerIssuer ? [issuer, "https://accounts.example.com"] : nil
        }
    }

    /// A provider that logs everyone in as the same user, and does something before it answers.
    final class Provider: LoginProvider {
        let whileRedeeming = Mutex<@Sendable () async -> Void>({})

        func authorizationURL(for pending: PendingLogin) async throws(OIDCError) -> String {
            "https://id.example.com/authorize?state=\(pending.state)"
        }

        func finishLogin(
            _ response: AuthorizationResponse, pending: PendingLogin
        ) async throws(OIDCError) -> LoginResult {
            await whileRedeeming.withLock { $0 }()
            return LoginResult(
                tokens: TokenSet(accessToken: "a", refreshToken: "r", idToken: "i", expiresIn: 300),
                userInfo: UserInfo(subject: "alice"), issuer: providerIssuer, providerSessionID: "s-1")
        }

        func logoutURL(idToken: String?, state: String?) async throws(OIDCError) -> String? {
            "https://id.example.com/logout?state=\(state ?? "")"
        }
    }

    private let store = InMemorySessionStore(logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    private let provider = Provider()
    private let events = SessionEvents()
    private let endpoints: AuthEndpoints

    init() throws {
        endpoints = AuthEndpoints(
            store: store, records: store, provider: provider,
            publicURL: try #require(PublicURL("https://app.example.com")), events: events, directory: store,
            logouts: Tokens())
    }

    private func request(
        _ method: HTTPRequest.Method, _ path: String, _ fields: HTTPFields = [:], body: String = ""
    ) -> SessionRequest {
        let head = HTTPRequest(
            method: method, scheme: "https", authority: "app.example.com", path: path, headerFields: fields)
        return SessionRequest(
            head, session: RequestSession(fields, in: store, cookies: endpoints.cookies), id: "request-1",
            body: Array(body.utf8), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func backchannel(
        _ body: String, type: String = "application/x-www-form-urlencoded", in endpoints: AuthEndpoints? = nil
    ) async -> HTTPAnswer {
        await (endpoints ?? self.endpoints).answer(
            .backchannelLogout, request(.post, "/auth/backchannel-logout", [.contentType: type], body: body))
    }

    private func session(_ subject: String, _ sid: String?, issuer: String = providerIssuer) async throws -> SessionID {
        try await store.createSession(
            NewSession(
                tokens: TokenSet(accessToken: "a"), userInfo: UserInfo(subject: subject), issuer: issuer,
                providerSessionID: sid))
    }

    private func isLive(_ id: SessionID) async throws -> Bool { try await store.session(for: id) != nil }

    // MARK: Back channel

    @Test("R26 R27: sid ends that session, sub alone all of the user at that provider, and nobody else's")
    func ends() async throws {
        let one = try await session("alice", "s-1")
        let two = try await session("alice", "s-2")
        let bob = try await session("bob", "s-1b")
        let elsewhere = try await session("alice", "s-1", issuer: "https://other.example.com")
        let answer = await backchannel("logout_token=sid%3Ds-1+jti%3D1")
        #expect(answer.status == .ok && answer.headers[.cacheControl] == "no-store")
        #expect(answer.headers[values: .setCookie].isEmpty)
        #expect(try await !isLive(one))
        for id in [two, bob, elsewhere] { #expect(try await isLive(id)) }
        let third = try await session("alice", nil)
        #expect(await backchannel("logout_token=sub%3Dalice+jti%3D2").status == .ok)
        for id in [two, third] { #expect(try await !isLive(id)) }
        for id in [bob, elsewhere] { #expect(try await isLive(id)) }
        // Who is logged out already is logged out.
        #expect(await backchannel("logout_token=sid%3Ds-1+jti%3D3").status == .ok)
        #expect(await backchannel("x=1&logout_token=sub%3Dnobody+jti%3D4&y=2").status == .ok)
    }

    @Test("R26: what ended is told of as ended by the provider")
    func reasons() async throws {
        let reasons = Reasons()
        events.add(reasons)
        let store = InMemorySessionStore(
            events: events, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let endpoints = AuthEndpoints(
            store: store, records: store, provider: provider,
            publicURL: try #require(PublicURL("https://app.example.com")), directory: store, logouts: Tokens())
        for sid in ["s-1", "s-2"] {
            _ = try await store.createSession(
                NewSession(
                    tokens: TokenSet(accessToken: "a"), userInfo: UserInfo(subject: "alice"), issuer: providerIssuer,
                    providerSessionID: sid))
        }
        _ = await backchannel("logout_token=sid%3Ds-1+jti%3D1", in: endpoints)
        _ = await backchannel("logout_token=sub%3Dalice+jti%3D2", in: endpoints)
        #expect(reasons.all == [.revokedByProvider, .revokedByProvider])
    }

    private final class Reasons: SessionEventListener {
        private let list = Mutex<[SessionEndReason]>([])
        var all: [SessionEndReason] { list.withLock { $0 } }
        func receive(_ event: SessionEvent) {
            if case .ended(let reason) = event.kind { list.withLock { $0.append(reason) } }
        }
    }

    @Test("R26: what is no logout token is 400 in JSON that no cache keeps, and ends nothing")
    func refusals() async throws {
        let id = try await session("alice", "s-1")
        let bodies = [
            "", "logout_token=", "logout_token", "token=sid%3Ds-1", "logout_token=wrong",
            "logout_token=a&logout_token=b",
            "logout_token=%zz", "logout_token=\u{FFFD}", "{\"logout_token\":\"x\"}",
            "logout_token=" + String(repeating: "a", count: 65_536),
        ]
        for body in bodies {
            let answer = await backchannel(body)
            #expect(answer.status == .badRequest, "\(body.prefix(40))")
            #expect(answer.headers[.cacheControl] == "no-store")
            #expect(answer.headers[.contentType]?.hasPrefix("application/json") == true)
            let json = try JSONValue(parsing: answer.body).object
            #expect(json?["error"] == "invalid_request" && json?["request_id"] == "request-1")
        }
        for type in ["application/json", "text/plain", "", "multipart/form-data"] {
            #expect(await backchannel("logout_token=sid%3Ds-1+jti%3D1", type: type).status == .badRequest)
        }
        #expect(try await isLive(id))
        let type = "Application/X-WWW-Form-Urlencoded; charset=utf-8"
        #expect(await backchannel("logout_token=sid%3Ds-1+jti%3D1", type: type).status == .ok)
        #expect(try await !isLive(id))
        for method in [HTTPRequest.Method.get, .head, .put, .delete] {
            let answer = await endpoints.answer(.backchannelLogout, request(method, "/auth/backchannel-logout"))
            #expect(answer.status == .methodNotAllowed && answer.headers[.allow] == "POST")
        }
    }

    @Test("R28: a token is good once, on whichever replica, however many times at once")
    func replay() async throws {
        let replica = AuthEndpoints(
            store: store, records: store, provider: provider,
            publicURL: try #require(PublicURL("https://app.example.com")), directory: store, logouts: Tokens())
        let statuses = await withTaskGroup(of: Int.self) { group in
            for number in 0..<32 {
                group.addTask {
                    await backchannel(
                        "logout_token=sub%3Dalice+jti%3Done", in: number.isMultiple(of: 2) ? replica : nil
                    ).status.code
                }
            }
            return await group.reduce(into: [Int: Int]()) { $0[$1, default: 0] += 1 }
        }
        #expect(statuses == [200: 1, 400: 31])
        // A session that began after the logout is not ended by a replay.
        let id = try await session("alice", "s-9")
        #expect(await backchannel("logout_token=sub%3Dalice+jti%3Done").status == .badRequest)
        #expect(try await isLive(id))
    }

    @Test("R42: 503 when the provider's keys can't be fetched or the store can't be asked, and the next try is served")
    func unavailable() async throws {
        let away = await backchannel("logout_token=away")
        #expect(away.status == .serviceUnavailable && away.headers[.retryAfter] == "5")
        let id = try await session("alice", "s-1")
        for call in [DirectoryThatFails.Call.claim, .note, .end] {
            let failing = DirectoryThatFails(store: store, call: call)
            let endpoints = AuthEndpoints(
                store: store, records: failing, provider: provider,
                publicURL: try #require(PublicURL("https://app.example.com")), directory: failing, logouts: Tokens())
            let answer = await backchannel("logout_token=sid%3Ds-1+jti%3Dsame", in: endpoints)
            #expect(answer.status == .serviceUnavailable && answer.headers[.cacheControl] == "no-store", "\(call)")
        }
        #expect(await backchannel("logout_token=sid%3Ds-1+jti%3Dsame").status == .ok)
        #expect(try await !isLive(id))
    }

    @Test("R53: tokens that are refused leave nothing in the store")
    func boundedRecords() async throws {
        let records = LoginTransactionTests.WatchedRecords()
        let endpoints = AuthEndpoints(
            store: store, records: records, provider: provider,
            publicURL: try #require(PublicURL("https://app.example.com")), directory: store, logouts: Tokens())
        for number in 0..<1000 { _ = await backchannel("logout_token=wrong\(number)", in: endpoints) }
        #expect(records.count == 0)
        _ = await backchannel("logout_token=sid%3Dunknown+jti%3D1", in: endpoints)
        let kept = records.seen.withLock { $0 }
        #expect(kept.count == 3 && kept.allSatisfy { $0.record.count < 20 && $0.lifetime <= .seconds(720) })
        #expect(Set(kept.map(\.key)).count == 2)
        #expect(kept.allSatisfy { !$0.key.contains("unknown") })
    }

    @Test("without a verifier there are no such routes")
    func absent() async throws {
        let bare = AuthEndpoints(
            store: store, records: store, provider: provider,
            publicURL: try #require(PublicURL("https://app.example.com")))
        #expect(await backchannel("logout_token=sid%3Ds-1+jti%3D1", in: bare).status == .notFound)
        let front = await bare.answer(
            .frontchannelLogout, request(.get, "/auth/frontchannel-logout?iss=\(providerIssuer)&sid=s-1"))
        #expect(front.status == .notFound)
    }

    // MARK: During a login

    private func logIn() async throws -> (answer: HTTPAnswer, session: SessionID?) {
        let begun = await endpoints.answer(.login, request(.get, "/auth/login"))
        let binding = try #require(cookie(endpoints.cookies.loginName, in: begun))
        let state = try #require(begun.headers[.location]?.split(separator: "=").last)
        let answer = await endpoints.answer(
            .callback,
            request(
                .get, "/auth/callback?code=c&state=\(state)",
                [.cookie: "\(endpoints.cookies.loginName)=\(binding)", .accept: "text/html"]))
        return (answer, cookie(endpoints.cookies.sessionName, in: answer).flatMap { SessionID($0) })
    }

    private func cookie(_ name: String, in answer: HTTPAnswer) -> String? {
        for line in answer.headers[values: .setCookie] where line.hasPrefix(name + "=") {
            return String(line.dropFirst(name.utf8.count + 1).prefix { $0 != ";" })
        }
        return nil
    }

    @Test("R27 R30: a logout that comes while the code is redeemed wins", arguments: ["sid%3Ds-1", "sub%3Dalice"])
    func duringLogin(subject: String) async throws {
        provider.whileRedeeming.withLock {
            $0 = { [self] in #expect(await backchannel("logout_token=\(subject)+jti%3D1").status == .ok) }
        }
        let (answer, session) = try await logIn()
        #expect(answer.status == .forbidden && session == nil)
        #expect(String(decoding: answer.body, as: UTF8.self).contains("You were logged out"))
        #expect(try await store.sessionCount() == 0)
        // It is over with that: the next login of the user is none of it, though the provider's session has a new name.
        provider.whileRedeeming.withLock { $0 = {} }
        guard subject.hasPrefix("sub") else { return }
        #expect(try await logIn().session != nil)
    }

    @Test("R30: a logout everywhere that comes while another browser logs in wins, and ends no later login")
    func everywhereDuringLogin() async throws {
        let id = try await session("alice", "s-0")
        provider.whileRedeeming.withLock {
            $0 = { [self] in
                let fields: HTTPFields = [
                    .cookie: "\(endpoints.cookies.sessionName)=\(id.secret)", .init("X-CSRF")!: "1",
                ]
                let answer = await endpoints.answer(
                    .logoutEverywhere, request(.post, "/auth/logout-everywhere", fields))
                #expect(answer.status == .ok)
            }
        }
        let (answer, session) = try await logIn()
        #expect(answer.status == .forbidden && session == nil)
        #expect(try await store.sessionCount() == 0)
        provider.whileRedeeming.withLock { $0 = {} }
        #expect(try await logIn().session != nil)
    }

    @Test("R27: a logout of another session or user ends no login")
    func othersDuringLogin() async throws {
        provider.whileRedeeming.withLock {
            $0 = { [self] in
                for (number, subject) in ["sid%3Ds-2", "sub%3Dbob", "sid%3Dalice", "sub%3Ds-1"].enumerated() {
                    #expect(await backchannel("logout_token=\(subject)+jti%3D\(number)").status == .ok)
                }
            }
        }
        let (answer, session) = try await logIn()
        #expect(answer.status == .seeOther)
        #expect(try await isLive(try #require(session)))
    }

    @Test("R27: who logs in again right after a logout of all sessions is let in, 100 times")
    func loginAfterLogout() async throws {
        for number in 0..<100 {
            #expect(await backchannel("logout_token=sub%3Dalice+jti%3D\(number)").status == .ok)
            #expect(try await store.sessionCount() == 0)
            #expect(try await logIn().session != nil)
        }
    }

    @Test("R42: a login that can't tell whether it was ended meanwhile is not let in, and leaves no session")
    func notesDown() async throws {
        let failing = DirectoryThatFails(store: store, call: .read)
        let endpoints = AuthEndpoints(
            store: store, records: failing, provider: provider,
            publicURL: try #require(PublicURL("https://app.example.com")))
        let begun = await endpoints.answer(.login, request(.get, "/auth/login"))
        let binding = try #require(cookie(endpoints.cookies.loginName, in: begun))
        let state = try #require(begun.headers[.location]?.split(separator: "=").last)
        let answer = await endpoints.answer(
            .callback,
            request(
                .get, "/auth/callback?code=c&state=\(state)", [.cookie: "\(endpoints.cookies.loginName)=\(binding)"]))
        #expect(answer.status == .serviceUnavailable && cookie(endpoints.cookies.sessionName, in: answer) == nil)
        #expect(try await store.sessionCount() == 0)
    }

    // MARK: Front channel

    private func frontchannel(_ query: String, session: SessionID? = nil) async -> HTTPAnswer {
        var fields: HTTPFields = [.accept: "text/html"]
        if let session { fields[.cookie] = "\(endpoints.cookies.sessionName)=\(session.secret)" }
        return await endpoints.answer(
            .frontchannelLogout, request(.get, "/auth/frontchannel-logout" + query, fields))
    }

    private static let issuerParameter = "iss=https%3A%2F%2Fid.example.com"

    @Test(
        "R29 oidcc-client-test-rp-frontchannel-rpinitlogout: iss and sid end that session, with the cookie or without it"
    )
    func frontchannelEnds() async throws {
        for sendsCookie in [false, true] {
            let id = try await session("alice", "s-1")
            let other = try await session("alice", "s-2")
            let answer = await frontchannel("?\(Self.issuerParameter)&sid=s-1", session: sendsCookie ? id : nil)
            #expect(answer.status == .ok && answer.headers[.cacheControl] == "no-store")
            #expect(try await !isLive(id))
            #expect(try await isLive(other))
            #expect((cookie(endpoints.cookies.sessionName, in: answer) == "") == sendsCookie)
        }
        // Another session's cookie stays.
        let other = try await session("alice", "s-2")
        let answer = await frontchannel("?\(Self.issuerParameter)&sid=s-1", session: other)
        #expect(answer.status == .ok && answer.headers[values: .setCookie].isEmpty)
        #expect(try await isLive(other))
    }

    @Test("R29: the provider's pages alone may frame it")
    func framing() async throws {
        var answer = await frontchannel("?\(Self.issuerParameter)&sid=unknown")
        #expect(answer.status == .ok)
        SecurityFields(publicURL: endpoints.publicURL).add(to: &answer.headers)
        #expect(
            answer.headers[values: .contentSecurityPolicy] == [
                "default-src 'none'; base-uri 'none'; form-action 'none'; "
                    + "frame-ancestors https://id.example.com https://accounts.example.com"
            ])
        var refused = await frontchannel("?iss=https%3A%2F%2Fevil.example.com&sid=s-1")
        SecurityFields(publicURL: endpoints.publicURL).add(to: &refused.headers)
        #expect(refused.headers[.contentSecurityPolicy]?.contains("frame-ancestors 'none'") == true)
    }

    @Test("R29: without both, or with those of another, nothing happens")
    func frontchannelIgnored() async throws {
        let id = try await session("alice", "s-1")
        let elsewhere = try await session("alice", "s-1", issuer: "https://other.example.com")
        for query in [
            "", "?", "?sid=s-1", "?\(Self.issuerParameter)", "?\(Self.issuerParameter)&sid=",
            "?iss=https%3A%2F%2Fother.example.com&sid=s-1", "?\(Self.issuerParameter)%2F&sid=s-1",
            "?\(Self.issuerParameter)&sid=s-1&sid=s-1",
            "?\(Self.issuerParameter)&sid=" + String(repeating: "a", count: 1025),
            "?\(Self.issuerParameter)&sid=%zz",
        ] {
            let answer = await frontchannel(query, session: id)
            #expect(answer.status == .badRequest && answer.headers[values: .setCookie].isEmpty, "\(query.prefix(60))")
        }
        #expect(await frontchannel("?\(Self.issuerParameter)&sid=S-1", session: id).status == .ok)
        for id in [id, elsewhere] { #expect(try await isLive(id)) }
        let head = await endpoints.answer(
            .frontchannelLogout, request(.head, "/auth/frontchannel-logout?\(Self.issuerParameter)&sid=s-1"))
        #expect(head.status == .methodNotAllowed)
        #expect(try await isLive(id))
    }

    // MARK: The return from a logout

    private func logoutReturn(_ query: String, cookie: String? = nil) -> LogoutReturn {
        endpoints.logoutReturn(
            HTTPRequest(
                method: .get, scheme: "https", authority: "app.example.com", path: "/" + query,
                headerFields: cookie.map { [.cookie: $0] } ?? [:]))
    }

    @Test("R25: state is compared to the cookie of the logout")
    func returns() async throws {
        let id = try await session("alice", "s-1")
        let answer = await endpoints.answer(
            .logout, request(.post, "/auth/logout", [.cookie: "\(endpoints.cookies.sessionName)=\(id.secret)"]))
        let state = try #require(answer.headers[.location]?.split(separator: "=").last)
        let line = try #require(
            answer.headers[values: .setCookie].first { $0.hasPrefix("__Host-cloakroom_logout=") })
        #expect(line == "__Host-cloakroom_logout=\(state); Max-Age=600; Path=/; HttpOnly; SameSite=Lax; Secure")
        let cookie = "__Host-cloakroom_logout=\(state)"
        #expect(logoutReturn("?state=\(state)", cookie: cookie) == .confirmed)
        #expect(logoutReturn("?x=1&state=\(state)", cookie: cookie) == .confirmed)
        for query in ["?state=", "?state=x", "?state=\(state)x", "?state=\(state)&state=\(state)", "?state=%zz"] {
            #expect(logoutReturn(query, cookie: cookie) == .unknown, "\(query)")
        }
        for other in [nil, "__Host-cloakroom_logout=", "cloakroom_logout=\(state)", "\(cookie); \(cookie)"] {
            #expect(logoutReturn("?state=\(state)", cookie: other) == .unknown)
        }
        for query in ["", "?", "?x=1"] { #expect(logoutReturn(query, cookie: cookie) == .absent) }
    }
}

/// A store of which one call fails.
private struct DirectoryThatFails: OneTimeRecordStore, SessionDirectory {
    enum Call { case claim, note, end, read }

    let store: InMemorySessionStore
    let call: Call

    private func check(_ call: Call) throws {
        if call == self.call { throw SessionStoreError(.unavailable, reason: "connection refused") }
    }

    func putRecord(_ record: [UInt8], key: String, lifetime: Duration) async throws {
        try check(.note)
        try await store.putRecord(record, key: key, lifetime: lifetime)
    }
    func putRecordIfAbsent(_ record: [UInt8], key: String, lifetime: Duration) async throws -> Bool {
        try check(.claim)
        return try await store.putRecordIfAbsent(record, key: key, lifetime: lifetime)
    }
    func readRecord(key: String) async throws -> [UInt8]? {
        try check(.read)
        return try await store.readRecord(key: key)
    }
    func takeRecord(key: String) async throws -> [UInt8]? { try await store.takeRecord(key: key) }
    func sessions(ofUser user: UserIdentity) async throws -> [SessionSummary] { try await store.sessions(ofUser: user) }
    func sessions(ofProviderSession session: ProviderSession) async throws -> [SessionSummary] {
        try await store.sessions(ofProviderSession: session)
    }
    func sessions(after cursor: SessionPage.Cursor?, limit: Int) async throws -> SessionPage {
        try await store.sessions(after: cursor, limit: limit)
    }
    func sessionCount() async throws -> Int { try await store.sessionCount() }
    func sessionCount(ofUser user: UserIdentity) async throws -> Int { try await store.sessionCount(ofUser: user) }
    func deleteSession(_ handle: SessionHandle, ofUser user: UserIdentity?) async throws -> Bool {
        try await store.deleteSession(handle, ofUser: user)
    }
    func deleteSessions(ofUser user: UserIdentity, except kept: SessionID?) async throws -> Int {
        try check(.end)
        return try await store.deleteSessions(ofUser: user, except: kept)
    }
    func deleteSessions(ofProviderSession session: ProviderSession) async throws -> Int {
        try check(.end)
        return try await store.deleteSessions(ofProviderSession: session)
    }
    func deleteAllSessions() async throws -> Int { try await store.deleteAllSessions() }
}
