import Cloakroom
import CloakroomRedis
import CloakroomRedisClient
import Foundation
import NIOCore
import TestSupport
import Testing

extension Integration {
    /// R42: whatever stands between the client and the server is named in words.
    @Suite struct RedisTransportTests {
        /// Runs a client on a URL and ends it afterwards.
        private func withClient<Result: Sendable>(
            _ url: String, _ tls: RedisTLSConfiguration = RedisTLSConfiguration(), timeout: Duration = .seconds(10),
            connectTimeout: Duration = .seconds(5), log: RecordingLog = RecordingLog(),
            _ body: @Sendable (RedisClient) async throws -> Result
        ) async throws -> Result {
            var configuration = RedisClientConfiguration(url: try RedisURL(url))
            configuration.tls = tls
            configuration.commandTimeout = timeout
            configuration.connectTimeout = connectTimeout
            let client = RedisClient(configuration: configuration, logger: log.logger)
            let result = try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await client.run() }
                let result = try await body(client)
                client.shutDown()
                return result
            }
            #expect(!log.lines.contains { $0.contains("s3cret") })
            return result
        }

        private func ping(_ url: String, _ tls: RedisTLSConfiguration = RedisTLSConfiguration()) async throws {
            let reply = try await withClient(url, tls) { try await $0.send(.ping) }
            #expect(reply == .simpleString("PONG"))
        }

        @Test("the store's connections are on the event loops that it is given")
        func eventLoops() async throws {
            try await RedisServer.run { server in
                try await HeldLoop.with { held in
                    var own = RedisStoreConfiguration(url: try RedisURL(server.url), commandTimeout: .seconds(20))
                    own.eventLoopGroup = held.group
                    let shared = RedisStoreConfiguration(url: own.url, commandTimeout: .seconds(20))
                    try await withStores([own, shared]) { stores in
                        for store in stores { _ = try await store.createSession(tokens: .sample(), userInfo: .jane) }
                        let wasHeld = try await held.holdsUp {
                            _ = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                        } while: {
                            for _ in 0..<100 {
                                _ = try await stores[1].createSession(tokens: .sample(), userInfo: .jane)
                            }
                        }
                        #expect(wasHeld)
                    }
                }
            }
        }

        /// Expects that no connection comes about, for this reason.
        private func refusal(
            _ url: String, _ tls: RedisTLSConfiguration = RedisTLSConfiguration(),
            connectTimeout: Duration = .seconds(5),
            naming words: String, at location: SourceLocation = #_sourceLocation
        ) async throws -> RedisClientError? {
            let log = RecordingLog()
            return try await withClient(
                url, tls, timeout: .milliseconds(300), connectTimeout: connectTimeout, log: log
            ) { client -> RedisClientError? in
                var last: RedisClientError?
                // Until the first attempt to connect has ended, the reason is another.
                let end = ContinuousClock.now + .seconds(15)
                repeat {
                    do {
                        _ = try await client.send(.ping)
                        Issue.record("connected", sourceLocation: location)
                        return nil
                    } catch let error as RedisClientError {
                        last = error
                    }
                } while last?.reason.contains(words) != true && ContinuousClock.now < end
                let reason = last?.reason ?? ""
                #expect(reason.contains(words), sourceLocation: location)
                #expect(!reason.contains("s3cret") && !reason.contains("NIO") && !reason.contains("SSL"))
                let warnings = log.lines.filter { $0.hasPrefix("warning: Redis connection failed") }
                #expect(warnings.contains { $0.contains(words) }, sourceLocation: location)
                return last
            }
        }

        // MARK: TLS

        @Test("TLS with an authority of our own, by address and by name, on many calls")
        func ownAuthority() async throws {
            try await TestCertificates.run { certificates in
                try await RedisServer.run(certificates) { server in
                    try await ping(server.urlWithTLS, certificates.options())
                    try await ping("rediss://localhost:\(server.port)", certificates.options())
                    try await ping("rediss://127.0.0.1:\(server.port)", certificates.options(serverName: "localhost"))
                    try await withClient(server.urlWithTLS, certificates.options()) { client in
                        try await withThrowingTaskGroup(of: Void.self) { group in
                            for task in 0..<16 {
                                group.addTask {
                                    for call in 0..<50 {
                                        let value = String(repeating: "\(task % 10)", count: call * 1000)
                                        _ = try await client.send(.set("k\(task)", .text(value), milliseconds: 60_000))
                                        guard case .bulk(let bytes) = try await client.send(.get("k\(task)")) else {
                                            throw Failure("no value")
                                        }
                                        #expect(String(buffer: bytes) == value)
                                    }
                                }
                            }
                            try await group.waitForAll()
                        }
                    }
                }
            }
        }

        @Test("a certificate of an unknown authority, for another name, out of its time: refused in words")
        func wrongCertificates() async throws {
            try await TestCertificates.run { certificates in
                var other = certificates.options()
                other.caFile = certificates.path("other-ca.crt")
                try await RedisServer.run(certificates) { server in
                    let url = "rediss://:s3cret@127.0.0.1:\(server.port)"
                    let unknown = try await refusal(url, other, naming: "not signed by an authority that is trusted")
                    #expect(unknown?.code == .handshakeRefused)
                    // The system's authorities know it no better.
                    _ = try await refusal(url, naming: "not signed by an authority that is trusted")
                    _ = try await refusal(
                        url, certificates.options(serverName: "redis.example.com"), naming: "another host name")
                }
                try await RedisServer.run(certificates, certificate: "named") { server in
                    let wrong = try await refusal(
                        server.urlWithTLS, certificates.options(), naming: "another host name")
                    #expect(wrong?.code == .handshakeRefused)
                    _ = try await refusal(
                        "rediss://localhost:\(server.port)", certificates.options(), naming: "another host name")
                    try await ping(server.urlWithTLS, certificates.options(serverName: "redis.example.com"))
                }
                try await RedisServer.run(certificates, certificate: "expired") { server in
                    _ = try await refusal(server.urlWithTLS, certificates.options(), naming: "has expired")
                }
            }
        }

        @Test("a server that wants a client certificate", arguments: ["TLSv1.2", "TLSv1.3"])
        func clientCertificates(_ version: String) async throws {
            try await TestCertificates.run { certificates in
                try await RedisServer.run(
                    certificates, wantsClientCertificate: true, ["--tls-protocols", version]
                ) { server in
                    try await ping(server.urlWithTLS, certificates.options(certificate: "client"))
                    let none = try await refusal(
                        server.urlWithTLS, certificates.options(), naming: "wants a client certificate")
                    #expect(none?.code == .handshakeRefused)
                    _ = try await refusal(
                        server.urlWithTLS, certificates.options(certificate: "foreign-client"),
                        naming: "our client certificate")
                }
            }
        }

        @Test("TLS to a server that speaks none, and none to a server that speaks TLS")
        func wrongTransport() async throws {
            try await RedisServer.run { server in
                _ = try await refusal(server.urlWithTLS, connectTimeout: .seconds(1), naming: "TLS")
            }
            try await TestCertificates.run { certificates in
                try await RedisServer.run(certificates) { server in
                    _ = try await refusal(server.url, naming: "TLS")
                }
            }
        }

        @Test("a server that can't do TLS 1.2")
        func oldVersion() async throws {
            try await TestCertificates.run { certificates in
                let port = try RedisServer.freePort()
                let server = Process()
                server.executableURL = RedisServer.find("openssl")
                server.arguments = [
                    "s_server", "-accept", "127.0.0.1:\(port)", "-cert", certificates.path("server.crt"), "-key",
                    certificates.path("server.key"), "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-quiet",
                ]
                server.standardOutput = FileHandle.nullDevice
                server.standardError = FileHandle.nullDevice
                try server.run()
                defer {
                    kill(server.processIdentifier, SIGKILL)
                    server.waitUntilExit()
                }
                _ = try await refusal("rediss://127.0.0.1:\(port)", certificates.options(), naming: "1.2 or newer")
            }
        }

        @Test("a file that is missing or wrong is named, beforehand and at each attempt")
        func wrongFiles() async throws {
            try await TestCertificates.run { certificates in
                let key = certificates.path("client.key")
                let locked = certificates.path("locked.key")
                try certificates.openssl(["ec", "-in", key, "-aes256", "-passout", "pass:s3cret", "-out", locked])
                let garbage = try certificates.write("s3cret", to: "garbage.pem")
                let damaged = try certificates.write(
                    "-----BEGIN CERTIFICATE-----\ns3cret\n-----END CERTIFICATE-----\n", to: "damaged.pem")
                let good = certificates.options(certificate: "client")
                var cases: [(RedisTLSConfiguration, String, String)] = []
                func add(_ file: String, _ problem: String, _ change: (inout RedisTLSConfiguration) -> Void) {
                    var options = good
                    change(&options)
                    cases.append((options, file, problem))
                }
                add("/none.pem", "no such file") { $0.caFile = "/none.pem" }
                add("/tmp", "directory") { $0.caFile = "/tmp" }
                add(garbage, "holds no certificate") { $0.caFile = garbage }
                add(damaged, "damaged") { $0.caFile = damaged }
                add("/none.pem", "no such file") { $0.certificateFile = "/none.pem" }
                add(key, "holds no certificate") { $0.certificateFile = key }
                add("/none.pem", "no such file") { $0.privateKeyFile = "/none.pem" }
                add(garbage, "holds no private key") { $0.privateKeyFile = garbage }
                add(locked, "passphrase") { $0.privateKeyFile = locked }
                add(certificates.path("server.key"), "not that of") {
                    $0.privateKeyFile = certificates.path("server.key")
                }
                add(certificates.path("client.crt"), "needs a private key") { $0.privateKeyFile = nil }
                add(key, "needs a certificate") { $0.certificateFile = nil }
                add("server name", "IP address") { $0.serverName = "127.0.0.1" }
                for (options, file, problem) in cases {
                    let error = #expect(throws: RedisClientError.self) { try options.validate() }
                    #expect(error?.reason.contains(file) == true && error?.reason.contains(problem) == true)
                    #expect(error?.reason.contains("s3cret") == false)
                }
                try good.validate()
                var configuration = RedisClientConfiguration(url: try RedisURL("rediss://h"))
                configuration.tls = cases[0].0
                #expect(throws: RedisClientError.self) { try configuration.validate() }
                configuration.url = try RedisURL("redis://h")
                try configuration.validate()
                try await RedisServer.run(certificates) { server in
                    let error = try await refusal(server.urlWithTLS, cases[0].0, naming: "/none.pem: no such file")
                    #expect(error?.code == .handshakeRefused)
                }
            }
        }

        @Test("a server with TLS that is killed and started again: the client finds it again at once")
        func restart() async throws {
            try await TestCertificates.run { certificates in
                try await RedisServer.run(certificates) { server in
                    try await withClient(server.urlWithTLS, certificates.options(), timeout: .seconds(1)) { client in
                        _ = try await client.send(.ping)
                        server.kill()
                        let error = await #expect(throws: RedisClientError.self) { try await client.send(.ping) }
                        #expect(error?.reason.contains("connection refused") == true)
                        try await server.start()
                        try await eventually("it answers again") { (try? await client.send(.ping)) != nil }
                    }
                }
            }
        }

        // MARK: Users, databases, sockets

        @Test("a user with the least rights, on a database of its own, over TLS")
        func leastPrivilege() async throws {
            try await TestCertificates.run { certificates in
                try await RedisServer.run(certificates) { server in
                    try server.cli(
                        "ACL", "SETUSER", "app", "on", ">s3cret", "~app:*", "+get", "+set", "+hello", "+ping", "+select"
                    )
                    try server.cli("ACL", "SETUSER", "default", "resetpass", ">other")
                    let url = "rediss://app:s3cret@127.0.0.1:\(server.port)/5"
                    try await withClient(url, certificates.options()) { client in
                        _ = try await client.send(.set("app:k", .text("v"), milliseconds: 60_000))
                        let error = await #expect(throws: RedisServerError.self) {
                            try await client.send(.set("other", .text("v"), milliseconds: 60_000))
                        }
                        #expect(error?.kind == .notPermitted)
                    }
                    #expect(try server.cli("-a", "other", "-n", "5", "EXISTS", "app:k") == "1")
                    let wrong = "rediss://app:s3cret-and-more@127.0.0.1:\(server.port)"
                    let error = try await refusal(wrong, certificates.options(), naming: "WRONGPASS")
                    #expect(error?.code == .handshakeRefused)
                }
            }
        }

        @Test("a database that the server does not have")
        func unknownDatabase() async throws {
            try await RedisServer.run { server in
                let error = try await refusal("redis://127.0.0.1:\(server.port)/99", naming: "SELECT")
                #expect(error?.code == .handshakeRefused)
            }
        }

        @Test("a Unix socket, with user and database, there and not there")
        func unixSocket() async throws {
            let path = FileManager.default.temporaryDirectory.appending(
                path: "cloakroom-\(UUID().uuidString.prefix(8)).sock"
            )
            .path
            defer { try? FileManager.default.removeItem(atPath: path) }
            _ = try await refusal("unix:\(path)", naming: "no such file")
            try await RedisServer.run(["--unixsocket", path]) { server in
                try await ping("unix:\(path)")
                try server.cli("ACL", "SETUSER", "app", "on", ">s3cret", "~*", "+@all")
                try await withClient("unix://app:s3cret@\(path)?db=3") { client in
                    _ = try await client.send(.set("k", .text("v"), milliseconds: 60_000))
                }
                #expect(try server.cli("-n", "3", "EXISTS", "k") == "1")
                _ = try await refusal("redis+unix://app:s3cret2@\(path)", naming: "WRONGPASS")
            }
        }
    }
}
