import Cloakroom
import CloakroomRedisClient
import NIOCore
import Testing

@testable import CloakroomRedis

@Suite struct RedisHealthTests {
    /// A server as it should be.
    private static let goodInfo = """
        # Server\r
        redis_version:7.0.15\r
        # Persistence\r
        loading:0\r
        aof_enabled:1\r
        rdb_last_bgsave_status:ok\r
        aof_last_write_status:ok\r
        # Memory\r
        used_memory:1048576\r
        maxmemory:104857600\r
        # Clients\r
        connected_clients:3\r
        maxclients:100\r
        # Stats\r
        rejected_connections:0\r
        evicted_keys:0\r
        maxmemory_policy:noeviction\r
        # Replication\r
        role:master\r
        connected_slaves:2\r
        slave0:ip=127.0.0.1,port=7001,state=online,offset=990,lag=0\r
        slave1:ip=127.0.0.1,port=7002,state=online,offset=1000,lag=1\r
        master_repl_offset:1000\r
        # Cluster\r
        cluster_enabled:0\r
        """

    private static func facts(_ changes: [(String, String)] = []) -> RedisFacts {
        var facts = RedisFacts()
        facts.roundTrips = [.microseconds(250)]
        facts.info = .success(RedisInfo(changes.reduce(goodInfo) { $0.replacing($1.0, with: $1.1) }))
        facts.save = .success("")
        facts.appendOnly = .success("yes")
        facts.policy = .success("noeviction")
        facts.keys = .success(
            KeySample(looked: 12, sessions: 10, measured: 10, measuredBytes: 20_000, forms: [.plain: 10]))
        facts.clock = .success(.milliseconds(3))
        facts.slowLog = .success(.init())
        return facts
    }

    private static func health(
        _ facts: RedisFacts, expectsCluster: Bool = false, waitReplicas: Int = 0, usesNearCache: Bool = true
    ) -> RedisHealth {
        RedisHealth(
            items: RedisHealthRules(
                facts: facts, expectsCluster: expectsCluster, waitReplicas: waitReplicas, usesNearCache: usesNearCache
            ).items)
    }

    @Test("A server that is set up well has nothing to be done about it")
    func good() {
        let health = Self.health(Self.facts(), waitReplicas: 1)
        #expect(health.items.allSatisfy { $0.status == .ok && $0.remedy == nil })
        #expect(health.items.count == 20 && !health.hasFailure)
        #expect(health["reachable"]?.detail == "answers in 0.2 ms")
        #expect(health["replicas"]?.detail == "2 connected, REDIS_WAIT_REPLICAS is 1")
        #expect(health["replication"]?.detail == "2 replicas, at most 10 bytes behind, last heard of 1 s ago")
    }

    @Test(
        "What endangers sessions is told, with a remedy",
        arguments: [
            ("maxmemory_policy:noeviction", "maxmemory_policy:allkeys-lru", "eviction", .fail),
            ("maxmemory_policy:noeviction", "maxmemory_policy:volatile-ttl", "eviction", .warn),
            ("redis_version:7.0.15", "redis_version:6.0.16", "version", .fail),
            ("role:master", "role:slave", "role", .fail), ("loading:0", "loading:1", "role", .fail),
            ("used_memory:1048576", "used_memory:99999999", "memory", .warn),
            ("cluster_enabled:0", "cluster_enabled:1", "cluster", .fail),
            ("evicted_keys:0", "evicted_keys:7", "evicted", .warn),
            ("rdb_last_bgsave_status:ok", "rdb_last_bgsave_status:err", "saving", .fail),
            ("aof_last_write_status:ok", "aof_last_write_status:err", "saving", .fail),
            ("connected_clients:3", "connected_clients:80", "clients", .warn),
            ("rejected_connections:0", "rejected_connections:1", "clients", .warn),
            ("state=online,offset=1000,lag=1", "state=online,offset=1000,lag=11", "replication", .warn),
            ("state=online,offset=990", "state=wait_bgsave,offset=0", "replication", .warn),
            ("master_repl_offset:1000", "master_repl_offset:99999999", "replication", .warn),
        ] as [(String, String, String, RedisHealth.Status)])
    func bad(line: String, instead: String, name: String, status: RedisHealth.Status) throws {
        let item = try #require(Self.health(Self.facts([(line, instead)]))[name])
        #expect(item.status == status && item.remedy != nil)
    }

    @Test("Valkey is recognised by its own version, whatever Redis version it says it is like")
    func valkey() {
        let health = Self.health(
            Self.facts([("redis_version:7.0.15", "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2")]))
        #expect(health["version"] == .init("version", .ok, "Valkey 9.1.2"))
    }

    @Test("No persistence is a warning, snapshots alone are not")
    func persistence() {
        var facts = Self.facts([("aof_enabled:1", "aof_enabled:0")])
        facts.appendOnly = .success("no")
        #expect(Self.health(facts)["persistence"]?.status == .warn)
        facts.save = .success("3600 1")
        #expect(Self.health(facts)["persistence"]?.status == .ok)
        facts.save = .failure(.init(.notPermitted))
        #expect(Self.health(facts)["persistence"] == .init("persistence", .unknown, "unknown: not permitted"))
    }

    @Test("What a managed service does not tell is unknown, and no failure")
    func forbidden() {
        var facts = Self.facts()
        facts.info = .failure(.init(.notPermitted))
        facts.save = .failure(.init(.notPermitted))
        facts.appendOnly = .failure(.init(.notPermitted))
        facts.policy = .failure(.init(.notPermitted))
        facts.keys = .failure(.init(.notPermitted))
        facts.clock = .failure(.init(.notPermitted))
        facts.slowLog = .failure(.init(.notPermitted))
        let health = Self.health(facts)
        #expect(!health.hasFailure)
        for name in [
            "version", "role", "eviction", "evicted", "memory", "capacity", "persistence", "saving", "lifetimes",
            "forms",
            "keyspace", "replicas", "replication", "clients", "slowlog", "clock",
        ] {
            #expect(health[name] == .init(name, .unknown, "unknown: not permitted"))
        }
    }

    @Test("Keys without TTL, too few replicas and a refused write are told")
    func others() {
        var facts = Self.facts()
        facts.keys = .success(KeySample(isComplete: false, sessions: 10, endless: 3))
        facts.writes = .failure(.init(.failed("its memory is full"), kind: .outOfMemory))
        facts.tracking = .failure(.init(.notPermitted))
        let health = Self.health(facts, waitReplicas: 3)
        #expect(health["lifetimes"]?.status == .warn && health["lifetimes"]?.detail.contains("3 of 10") == true)
        #expect(health["writes"]?.status == .fail && health["writes"]?.remedy?.contains("maxmemory") == true)
        #expect(health["replicas"]?.status == .fail && health["tracking"]?.status == .warn)
        #expect(Self.health(facts, usesNearCache: false)["tracking"] == nil)
    }

    @Test("A cluster that is not whole has failed")
    func cluster() {
        var facts = Self.facts([("cluster_enabled:0", "cluster_enabled:1")])
        facts.cluster = .success(RedisInfo("cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_size:3\r\n"))
        #expect(Self.health(facts, expectsCluster: true)["cluster"]?.status == .ok)
        facts.cluster = .success(RedisInfo("cluster_state:fail\r\ncluster_slots_assigned:10923\r\n"))
        #expect(Self.health(facts, expectsCluster: true)["cluster"]?.status == .fail)
    }

    @Test("Evicted keys are a failure while the policy goes on evicting")
    func evicting() {
        let facts = Self.facts([("evicted_keys:0", "evicted_keys:7"), (":noeviction", ":volatile-lru")])
        #expect(Self.health(facts)["evicted"]?.status == .fail)
    }

    @Test(
        "Slow round trips, a clock that is off and slow commands are told",
        arguments: [
            ([1, 1, 101], "latency", .warn, "worst 101.0 ms"), ([21, 21, 21], "latency", .warn, "median 21.0 ms"),
            ([1, 1, 99], "latency", .ok, "of 3 round trips"),
        ] as [([Int], String, RedisHealth.Status, String)])
    func slow(times: [Int], name: String, status: RedisHealth.Status, words: String) throws {
        var facts = Self.facts()
        facts.roundTrips = times.map { .milliseconds($0) }
        facts.clock = .success(.seconds(-7))
        facts.slowLog = .success(.init(count: 2, worst: .milliseconds(150), command: "KEYS"))
        let health = Self.health(facts)
        let item = try #require(health[name])
        #expect(item.status == status && item.detail.contains(words), "\(item)")
        #expect(health["clock"]?.status == .warn && health["clock"]?.detail.contains("7.0 s behind") == true)
        #expect(health["slowlog"]?.status == .warn && health["slowlog"]?.detail.contains("KEYS with 150.0 ms") == true)
    }

    @Test("Of the slow log only names of commands are taken, and only of the last hour")
    func slowLog() {
        func entry(_ age: Int, _ micros: Int64, _ words: [String]) -> RESPValue {
            .array([
                .number(1), .number(Int64(10_000 - age)), .number(micros),
                .array(words.map { .bulk(ByteBuffer(string: $0)) }),
            ])
        }
        let log = RedisHealthProbe.readSlowLog(
            .array([entry(3, 20_000, ["get", "session:secret"]), entry(4000, 900_000, ["keys", "*"]), .number(4)]),
            now: 10_000)
        #expect(log == .init(count: 1, worst: .milliseconds(20), command: "GET"))
        let odd = RedisHealthProbe.readSlowLog(.array([entry(3, 20_000, ["\u{1B}[2J"])]), now: 10_000)
        #expect(odd.command == "?")
    }

    @Test("What is left of the memory is told in sessions, and few of them are a warning")
    func capacity() {
        var facts = Self.facts()
        facts.keys = .success(KeySample(sessions: 10, measured: 4, measuredBytes: 8000))
        #expect(
            Self.health(facts)["capacity"]?.detail.hasPrefix("room for about 51904 more sessions (2000 bytes") == true)
        var full = Self.facts([("used_memory:1048576", "used_memory:104857000")])
        full.keys = facts.keys
        #expect(Self.health(full)["capacity"]?.status == .warn)
        facts.keys = .success(KeySample())
        #expect(Self.health(facts)["capacity"]?.status == .ok)
    }

    @Test("Sessions that these settings can't open are told, with the key that is missing")
    func forms() throws {
        func item(_ forms: [RecordForm: Int], keys: [String]?, acceptsPlain: Bool = true) throws -> RedisHealth.Item {
            var facts = Self.facts()
            facts.keys = .success(KeySample(sessions: 10, forms: forms))
            let rules = RedisHealthRules(
                facts: facts, expectsCluster: false, waitReplicas: 0, usesNearCache: true, keyIDs: keys,
                acceptsPlain: acceptsPlain)
            return try #require(rules.forms)
        }
        let sealed = RecordForm.sealed(keyID: "0a0b0c0d")
        #expect(try item([sealed: 3, .plain: 7], keys: ["0a0b0c0d"]).status == .ok)
        let lacking = try item([sealed: 3, .plain: 7], keys: ["11111111"])
        #expect(lacking.status == .fail && lacking.detail.hasPrefix("3 of 10 sessions are sealed with key 0a0b0c0d"))
        #expect(try item([sealed: 3], keys: nil).remedy?.contains("as on the replicas") == true)
        #expect(try item([.plain: 7], keys: ["11111111"], acceptsPlain: false).status == .warn)
        #expect(try item([.plain: 7, .unknown: 1], keys: nil).status == .warn)
        #expect(try item([:], keys: nil).status == .ok)
    }

    @Test("Sessions under another prefix or in another database are found")
    func keyspace() {
        var facts = Self.facts()
        facts.keys = .success(KeySample(sessions: 0, otherPrefixes: ["shop:session:": 3]))
        #expect(Self.health(facts)["keyspace"]?.status == .warn)
        #expect(Self.health(facts)["keyspace"]?.detail.hasSuffix("sessions under shop:session: (3)") == true)
        // Another app may well share the server.
        facts.keys = .success(KeySample(sessions: 1, otherPrefixes: ["shop:session:": 3]))
        #expect(Self.health(facts)["keyspace"]?.status == .ok)
        facts.otherDatabases = [.init(number: 3, sessions: 12)]
        #expect(Self.health(facts)["keyspace"]?.detail.contains("database 3 (at least 12)") == true)
        #expect(Self.health(facts)["keyspace"]?.status == .warn)
    }

    @Test("A prefix is taken from a key without the session's name, which is a secret")
    func prefixes() {
        #expect(KeySampler.prefix(of: "shop:session:AAAABBBBCCCCDDDD") == "shop:session:")
        #expect(KeySampler.prefix(of: "session:sha256:AAAA") == "session:")
        #expect(KeySampler.prefix(of: "AAAABBBBCCCCDDDD") == nil)
        #expect(KeySampler.prefix(of: "a\u{1B}b:AAAABBBBCCCCDDDD") == nil)
    }

    @Test("The databases of INFO keyspace are read")
    func databases() {
        #expect(RedisInfo("db0:keys=1,expires=1\r\ndb11:keys=2\r\ndbx:keys=2\r\n").databases == [0, 11])
    }

    @Test(
        "Each reason why there is no connection has a remedy of its own",
        arguments: [
            ("connection refused", "start Redis"), ("the host name can't be resolved", "DNS"),
            ("Redis did not answer the handshake in time", "hangs"),
            ("the connection timed out or was closed", "firewall"),
            ("the server's certificate has expired", "renew"),
            ("the server's certificate is not signed by an authority that is trusted", "REDIS_TLS_CA_FILE"),
            (
                "the server's certificate is for another host name or address than the one connected to",
                "REDIS_TLS_SERVER_NAME"
            ),
            ("TLS was not established in time; the server may not speak TLS there", "redis://"),
            ("the server wants a client certificate", "REDIS_TLS_CERT_FILE"),
            ("HELLO: Redis answered NOAUTH (it asks for a password and none was given)", "password"),
            ("SELECT: Redis answered ERR (an error)", "database"), ("something new", "is Redis running"),
        ])
    func unreachable(reason: String, words: String) throws {
        let item = RedisHealth.unreachable(
            RedisClientError(.notConnected, reason: reason), try RedisURL("redis://:s3cret@h:1/2"))
        #expect(item.status == .fail && item.detail.contains(reason) && !"\(item)".contains("s3cret"))
        #expect(item.remedy?.contains(words) == true, "\(item)")
    }
}
