import Cloakroom
import Testing

@testable import CloakroomOIDC

/// What the browser brings back, and what must not be believed of it.
@Suite("Callback")
struct CallbackTests {
    /// Begins a login, changes the callback, and expects a refusal before any token request.
    private func expectRefusal(
        _ code: OIDCError.Code, _ words: String, advertisesIssuer: Bool = false,
        sourceLocation: SourceLocation = #_sourceLocation,
        _ change: @Sendable (inout AuthorizationResponse, ScriptedProvider) -> Void
    ) async throws {
        try await TestBench.run {
            if advertisesIssuer { $0.metadata["authorization_response_iss_parameter_supported"] = true }
        } _: { bench in
            let party = bench.relyingParty()
            let login = try await party.beginLogin()
            var callback = try bench.provider.authorize(login)
            change(&callback, bench.provider)
            await expectFailure(code, words, sourceLocation: sourceLocation) {
                _ = try await party.finishLogin(callback, pending: login.pending)
            }
            #expect(bench.provider.requests(to: .token).isEmpty, sourceLocation: sourceLocation)
        }
    }

    @Test("R3: another state, none or a longer one makes no token request")
    func state() async throws {
        try await expectRefusal(.invalidCallback, "state") { callback, _ in callback.state = "another" }
        try await expectRefusal(.invalidCallback, "state") { callback, _ in callback.state = nil }
        try await expectRefusal(.invalidCallback, "state") { callback, _ in callback.state = "" }
        try await expectRefusal(.invalidCallback, "state") { callback, _ in callback.state?.append("x") }
        // Also with an error, which anyone can send.
        try await expectRefusal(.invalidCallback, "state") { callback, _ in
            callback.state = "another"
            callback.error = "access_denied"
        }
    }

    @Test("R3: an empty pending login matches nothing")
    func emptyPending() async throws {
        try await TestBench.run { bench in
            let pending = PendingLogin(state: "", nonce: "", codeVerifier: "")
            await expectFailure(.invalidCallback, "state") {
                _ = try await bench.relyingParty().finishLogin(.init(code: "c", state: ""), pending: pending)
            }
        }
    }

    @Test("R3 R2: a code works once, and only with the verifier of its own login")
    func codeIsBound() async throws {
        try await TestBench.run { bench in
            let party = bench.relyingParty()
            let login = try await party.beginLogin()
            let callback = try bench.provider.authorize(login)
            _ = try await party.finishLogin(callback, pending: login.pending)
            await expectFailure(.invalidGrant, "invalid_grant") {
                _ = try await party.finishLogin(callback, pending: login.pending)
            }
            let (mine, theirs) = (try await party.beginLogin(), try await party.beginLogin())
            var stolen = try bench.provider.authorize(theirs)
            stolen.state = mine.pending.state
            await expectFailure(.invalidGrant, "invalid_grant") {
                _ = try await party.finishLogin(stolen, pending: mine.pending)
            }
        }
    }

    @Test("R5: an answer of another issuer is refused, whether or not the metadata advertises iss")
    func foreignIssuer() async throws {
        for advertises in [true, false] {
            try await expectRefusal(.invalidCallback, "issuer", advertisesIssuer: advertises) { callback, _ in
                callback.issuer = "https://evil.example.com"
            }
            try await expectRefusal(.invalidCallback, "issuer", advertisesIssuer: advertises) { callback, provider in
                callback.issuer = provider.issuer + "/"
                callback.error = "access_denied"
            }
        }
    }

    @Test("R5: where the metadata advertises iss, an answer without it is refused, an error too")
    func missingIssuer() async throws {
        try await expectRefusal(.invalidCallback, "issuer", advertisesIssuer: true) { _, _ in }
        try await expectRefusal(.invalidCallback, "issuer", advertisesIssuer: true) { callback, _ in
            callback.error = "access_denied"
        }
    }

    @Test("R5: the right iss is accepted")
    func rightIssuer() async throws {
        try await TestBench.run {
            $0.metadata["authorization_response_iss_parameter_supported"] = true
        } _: { bench in
            let party = bench.relyingParty()
            let login = try await party.beginLogin()
            var callback = try bench.provider.authorize(login)
            callback.issuer = bench.provider.issuer
            #expect(try await party.finishLogin(callback, pending: login.pending).userInfo.subject == "alice")
        }
    }

    @Test("R45: the provider's refusal is passed on as a code of a safe alphabet alone")
    func refusal() async throws {
        try await expectRefusal(.loginRefused, "access_denied") { callback, _ in
            callback.code = nil
            callback.error = "access_denied"
        }
        for error in ["<script>", "a\r\nb", "", String(repeating: "a", count: 65)] {
            try await expectRefusal(.loginRefused, "an unknown error") { callback, _ in callback.error = error }
        }
    }

    @Test("R3: a missing, empty or endless code makes no token request")
    func unfitCode() async throws {
        for code in [nil, "", String(repeating: "c", count: 4097)] {
            try await expectRefusal(.invalidCallback, "code") { callback, _ in callback.code = code }
        }
    }
}
