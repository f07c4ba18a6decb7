import NIOCore
import Testing

@testable import CloakroomRedisClient

private struct NoObserver: InvalidationObserver {
    func invalidated(_ keys: [ByteBuffer]?) {}
    func trackingInterrupted() {}
    func trackingConfirmed(until: NIODeadline) {}
}

@Suite struct HandshakeTests {
    private struct Refused: Error {}

    private func handshake(
        _ url: String = "redis://h", isTracking: Bool = false, greeting: [RedisCommand] = [],
        accept: @escaping @Sendable ([RESPValue]) throws -> Void = { _ in }
    ) throws -> Handshake {
        var configuration = RedisClientConfiguration(url: try RedisURL(url))
        if isTracking { configuration.invalidationObserver = NoObserver() }
        return Handshake(configuration: configuration, greeting: greeting, accept: accept)
    }

    private let fine = RESPValue.simpleString("OK")
    private func error(_ message: String) -> RESPValue { .error(RedisServerError(message: message)) }

    private func text(_ handshake: Handshake) -> String {
        handshake.commands.map { command in
            var buffer = ByteBuffer()
            command.encode(into: &buffer)
            let lines = String(buffer: buffer).split(separator: "\r\n").filter { !"$*".contains($0.first ?? "$") }
            return lines.joined(separator: " ")
        }.joined(separator: ", ")
    }

    @Test("who we are, the database, tracking, further questions")
    func commands() throws {
        let info = "CLIENT SETINFO LIB-NAME cloakroom"
        #expect(text(try handshake()) == "HELLO 3 SETNAME cloakroom, PING, \(info)")
        #expect(
            text(try handshake("redis://u:p@h/7", isTracking: true, greeting: [.unlink("x")]))
                == "HELLO 3 AUTH u p SETNAME cloakroom, SELECT 7, CLIENT TRACKING ON, PING, UNLINK x, \(info)")
        #expect(text(try handshake("redis+cluster://:p@h")).hasPrefix("HELLO 3 AUTH default p SETNAME cloakroom, PING"))
    }

    @Test("the judge gets the replies to the further questions, errors included, and may refuse")
    func accept() throws {
        let expected = [RESPValue.number(7), error("ERR")]
        let handshake = try handshake(isTracking: true, greeting: [.ping, .ping]) { replies in
            guard replies == expected else { throw Refused() }
        }
        _ = try handshake.judge([.map([]), fine, fine, .number(7), error("ERR"), fine])
        #expect(throws: Refused.self) { try handshake.judge([.map([]), fine, fine, .number(8), error("ERR"), fine]) }
    }

    @Test("a refusal of the greeting or the database is an error; its code says which")
    func refusals() throws {
        let handshake = try handshake("redis://h/7")
        for (replies, reason) in [
            ([error("NOAUTH x"), error("NOAUTH x"), fine, fine], "HELLO: Redis answered NOAUTH"),
            ([fine, error("ERR DB index is out of range"), fine, fine], "SELECT: Redis answered ERR"),
        ] {
            let error = #expect(throws: RedisClientError.self) { try handshake.judge(replies) }
            #expect(error?.code == .handshakeRefused && error?.reason.hasPrefix(reason) == true)
        }
        let loading = #expect(throws: RedisClientError.self) {
            try handshake.judge([fine, fine, error("LOADING x"), fine])
        }
        #expect(loading?.code == .notConnected)
        let partial = #expect(throws: RedisClientError.self) { try handshake.judge([fine, fine]) }
        #expect(partial?.code == .protocolViolation)
    }

    @Test("a server that does not track is used without")
    func trackingRefused() throws {
        let handshake = try handshake(isTracking: true)
        #expect(try handshake.judge([fine, fine, fine, fine]).trackingRefusal == nil)
        let outcome = try handshake.judge([fine, error("NOPERM x"), fine, error("ERR unknown")])
        #expect(outcome.trackingRefusal?.kind == .notPermitted)
    }
}

@Suite struct TLSFailureTests {
    @Test(
        "BoringSSL's reports, in words",
        arguments: [
            ("x:CERTIFICATE_VERIFY_FAILED at y", "not signed by an authority", true),
            ("x:WRONG_VERSION_NUMBER", "does not speak TLS", true),
            ("x:TLSV1_ALERT_CERTIFICATE_REQUIRED", "wants a client certificate", true),
            ("x:TLSV1_ALERT_UNKNOWN_CA", "does not trust our client certificate", true),
            ("x:SSLV3_ALERT_HANDSHAKE_FAILURE", "refused TLS", true),
            ("x:TLSV1_ALERT_PROTOCOL_VERSION", "1.2 or newer", true),
            ("Error:  EOF during handshake", "closed the connection", false), ("syscallError", "was lost", false),
            ("something new", "TLS failed", true),
        ])
    func reports(_ report: String, _ words: String, _ isRefusal: Bool) {
        let failure = TLSFailure(report: report, certificate: nil, now: 0)
        #expect(failure.reason.contains(words) && failure.isRefusal == isRefusal)
        #expect(!failure.reason.contains("_") && !failure.reason.contains("x:"))
    }

    @Test("a certificate that is out of its time")
    func validity() {
        func reason(_ notBefore: Int, _ notAfter: Int) -> String {
            TLSFailure(
                report: "CERTIFICATE_VERIFY_FAILED", certificate: .init(notBefore: notBefore, notAfter: notAfter),
                now: 100
            ).reason
        }
        #expect(reason(0, 99).contains("has expired"))
        #expect(reason(101, 200).contains("not valid yet"))
        #expect(reason(0, 200).contains("not signed by an authority"))
    }
}

@Suite struct TLSPeerTests {
    @Test(
        "names in certificates",
        arguments: [
            ("redis.example.com", "redis.example.com", true), ("Redis.Example.COM", "redis.example.com.", true),
            ("redis.example.com.", "REDIS.example.com", true), ("localhost", "localhost", true),
            ("*.example.com", "redis.example.com", true), ("*.example.com", "a.redis.example.com", false),
            ("*.example.com", "example.com", false), ("*.example.com", ".example.com", false),
            ("*", "localhost", false), ("*.com", "example.com", false), ("r*.example.com", "redis.example.com", false),
            ("redis.*.com", "redis.example.com", false), ("example.com", "redis.example.com", false), ("", "", false),
            ("redis.example.com", "redis.example.org", false),
        ])
    func names(_ pattern: String, _ name: String, _ isMatch: Bool) {
        #expect(TLSPeer.matches(pattern, name: name) == isMatch)
    }
}
