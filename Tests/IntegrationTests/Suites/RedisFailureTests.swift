import Cloakroom
import CloakroomRedis
import Foundation
import TestSupport
import Testing

extension Integration {
    /// R42: whatever is wrong with Redis is an error that says so; never "no session".
    @Suite struct RedisFailureTests {
        /// The error of a read, once it names `reason`. Until the first attempt to connect has ended, the reason is another.
        private func failure(_ store: RedisSessionStore, naming reason: String) async throws -> SessionStoreError {
            var last: SessionStoreError?
            try await eventually("a read fails with \(reason)") {
                do {
                    _ = try await store.session(for: SessionID())
                    throw Failure("a read succeeded")
                } catch let error as SessionStoreError {
                    last = error
                    return error.reason.contains(reason)
                }
            }
            return try #require(last)
        }

        /// The error of a read of this session, once there is one.
        private func failure(_ store: RedisSessionStore, of id: SessionID) async throws -> SessionStoreError {
            var last: SessionStoreError?
            try await eventually("a read fails") {
                do {
                    guard try await store.session(for: id) != nil else { throw Failure("R42: no session") }
                    return false
                } catch let error as SessionStoreError {
                    last = error
                    return true
                }
            }
            return try #require(last)
        }

        private func ready(_ store: RedisSessionStore) async throws {
            try await eventually("it connects") { (try? await store.ping()) != nil }
        }

        @Test("R42: no server at start: calls fail at once or soon, and all is well when it comes")
        func startsWithoutServer() async throws {
            try await RedisServer.run(isStarted: false) { server in
                let log = RecordingLog()
                try await withStores(on: server, timeout: .milliseconds(300), logger: log.logger) { stores in
                    let error = try await failure(stores[0], naming: "connection refused")
                    #expect(error.code == .unavailable)
                    await #expect(throws: SessionStoreError.self) { try await stores[0].ping() }
                    await #expect(throws: SessionStoreError.self) {
                        try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    }
                    try await server.start()
                    try await ready(stores[0])
                    let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    #expect(try await stores[0].session(for: id) != nil)
                }
                #expect(log.lines.contains { $0.hasPrefix("info: Redis connection successful") })
                #expect(
                    log.lines.filter { $0.hasPrefix("warning: Redis connection failed") }.count == 1, "not one a try")
            }
        }

        @Test("R42: kill -9 and restart of an append-only server: errors meanwhile, the same sessions afterwards")
        func restart() async throws {
            try await RedisServer.run(["--appendonly", "yes"]) { server in
                try await withStores(2, on: server, timeout: .milliseconds(500)) { stores in
                    for store in stores { try await ready(store) }
                    let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    for round in 0..<3 {
                        server.kill()
                        // What is cached is served until the end of the connection is noticed.
                        let error = try await failure(stores[1], of: id)
                        #expect(error.code == .unavailable)
                        try await server.start()
                        try await eventually("round \(round): the session is there again") {
                            (try? await stores[1].session(for: id))??.userInfo == .jane
                        }
                        // The script cache went with the server.
                        try await eventually("a refresh works again") {
                            (try? await stores[0].refreshSession(id, tokens: .sample("\(round)")))??.tokens
                                == .sample("\(round)")
                        }
                    }
                }
            }
        }

        @Test("R42: a password that is asked for, and one that is wrong")
        func credentials() async throws {
            try await RedisServer.run(["--requirepass", "s3cret"]) { server in
                try await withStores(on: server, timeout: .milliseconds(300)) { stores in
                    let error = try await failure(stores[0], naming: "NOAUTH")
                    #expect(error.code == .rejected)
                }
                let log = RecordingLog()
                let wrong = "redis://:wr0ng@127.0.0.1:\(server.port)"
                try await withStores(on: server, url: wrong, timeout: .milliseconds(300), logger: log.logger) {
                    stores in
                    let error = try await failure(stores[0], naming: "WRONGPASS")
                    #expect(error.code == .rejected && !error.reason.contains("wr0ng"))
                }
                #expect(!log.lines.contains { $0.contains("wr0ng") || $0.contains("s3cret") })
                try await withStores(on: server, url: "redis://:s3cret@127.0.0.1:\(server.port)") {
                    try await $0[0].ping()
                }
                try server.cli("-a", "s3cret", "ACL", "SETUSER", "app", "on", ">pa/ss", "~*", "+@all")
                try await withStores(on: server, url: "redis://app:pa%2Fss@127.0.0.1:\(server.port)") {
                    try await $0[0].ping()
                }
            }
        }

        @Test("R42: a user that may not read")
        func permissions() async throws {
            try await RedisServer.run { server in
                try server.cli("ACL", "SETUSER", "app", "on", ">pw", "~*", "+ping", "+hello", "+client")
                try await withStores(on: server, url: "redis://app:pw@127.0.0.1:\(server.port)") { stores in
                    try await stores[0].ping()
                    let error = try await failure(stores[0], naming: "NOPERM")
                    #expect(error.code == .rejected)
                }
            }
        }

        @Test("a user that may not use transactions creates sessions all the same")
        func withoutTransactions() async throws {
            try await RedisServer.run { server in
                try server.cli("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-@transaction")
                try await withStores(on: server, url: "redis://app:pw@127.0.0.1:\(server.port)") { stores in
                    for count in 1...3 {
                        let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                        #expect(try await stores[0].session(for: id) != nil)
                        #expect(try await stores[0].sessionCount(ofUser: UserInfo.jane.subject ?? "") == count)
                    }
                }
                #expect(try server.calls(of: "evalsha") > 0)
            }
        }

        @Test("R42: with an idle limit, a user that may not ask for the TTL: an error, not a logout")
        func permissionForTimeToLive() async throws {
            try await RedisServer.run { server in
                let id = try await withStores(on: server) {
                    try await $0[0].createSession(tokens: .sample(), userInfo: .jane)
                }
                try server.cli("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-pttl")
                try await withStores(
                    on: server, url: "redis://app:pw@127.0.0.1:\(server.port)",
                    policy: SessionPolicy(idleTimeout: .seconds(600))
                ) { stores in
                    let error = await #expect(throws: SessionStoreError.self) { try await stores[0].session(for: id) }
                    #expect(error?.code == .rejected && error?.reason.contains("NOPERM") == true)
                }
            }
        }

        @Test("a TTL that no Redis would answer harms nothing")
        func absurdTimeToLive() async throws {
            let session = try Session(
                beginningAt: .now, policy: SessionPolicy(), NewSession(tokens: .sample(), userInfo: .jane))
            let record = PlainRecord.encode(session)
            let reply = Array("$\(record.count)\r\n".utf8) + record + Array("\r\n:\(Int64.min)\r\n".utf8)
            let server = try await HostileServer(answering: reply)
            var configuration = RedisStoreConfiguration(url: try RedisURL(server.url))
            configuration.nearCache = nil
            let store = RedisSessionStore(
                configuration: configuration,
                policy: SessionPolicy(idleTimeout: .seconds(600)), logger: silent)
            let read = try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await store.run() }
                let read = try await store.session(for: SessionID())
                group.cancelAll()
                return read
            }
            #expect(read == session)
            await server.close()
        }

        @Test("a user without a password is that user, not the default one")
        func userWithoutPassword() async throws {
            try await RedisServer.run { server in
                try server.cli("ACL", "SETUSER", "guest", "on", "nopass", "~*", "+@all", "-set")
                try await withStores(on: server, url: "redis://guest@127.0.0.1:\(server.port)") { stores in
                    try await stores[0].ping()
                    let error = await #expect(throws: SessionStoreError.self) {
                        try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    }
                    #expect(error?.reason.contains("NOPERM") == true)
                }
            }
        }

        @Test("R42: a full server refuses new sessions and still serves those that it has")
        func outOfMemory() async throws {
            try await RedisServer.run(["--maxmemory-policy", "noeviction"]) { server in
                try await withStores(on: server) { stores in
                    let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    try server.cli("CONFIG", "SET", "maxmemory", "1")
                    let error = await #expect(throws: SessionStoreError.self) {
                        try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    }
                    #expect(error?.code == .rejected && error?.reason.contains("OOM") == true)
                    await #expect(throws: SessionStoreError.self) {
                        try await stores[0].refreshSession(id, tokens: .sample("second"))
                    }
                    #expect(try await stores[0].session(for: id)?.tokens == .sample())
                    try await stores[0].deleteSession(id)
                    #expect(try await stores[0].session(for: id) == nil)
                }
            }
        }

        @Test("R42: a read-only replica")
        func readOnly() async throws {
            try await RedisServer.run { server in
                try await withStores(on: server) { stores in
                    let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    try server.cli("REPLICAOF", "127.0.0.1", "\(try RedisServer.freePort())")
                    for call in [
                        { _ = try await stores[0].createSession(tokens: .sample(), userInfo: .jane) },
                        { _ = try await stores[0].deleteSession(id) },
                        { _ = try await stores[0].refreshSession(id, tokens: .sample()) },
                    ] as [@Sendable () async throws -> Void] {
                        let error = await #expect(throws: SessionStoreError.self) { try await call() }
                        #expect(error?.code == .rejected && error?.reason.contains("READONLY") == true)
                    }
                }
            }
        }

        @Test("R42: a server that hangs: calls end in time, and the next connection serves again")
        func hangs() async throws {
            try await RedisServer.run { server in
                try await withStores(on: server, timeout: .milliseconds(400)) { stores in
                    try await ready(stores[0])
                    let id = try await stores[0].createSession(tokens: .sample(), userInfo: .jane)
                    server.pause()
                    let start = ContinuousClock.now
                    let error = await #expect(throws: SessionStoreError.self) { try await stores[0].session(for: id) }
                    #expect(error?.code == .unavailable)
                    #expect(.now - start < .seconds(5))
                    server.resume()
                    try await eventually("it serves again") { (try? await stores[0].session(for: id)) != nil }
                }
            }
        }
    }
}
