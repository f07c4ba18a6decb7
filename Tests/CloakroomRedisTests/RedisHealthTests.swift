import CloakroomRedisClient
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
        # Memory\r
        used_memory:1048576\r
        maxmemory:104857600\r
        maxmemory_policy:noeviction\r
        # Replication\r
        role:master\r
        connected_slaves:2\r
        slave0:ip=127.0.0.1,port=7001,state=online,offset=1,lag=0\r
        slave1:ip=127.0.0.1,port=7002,state=wait_bgsave,offset=0,lag=0\r
        # Cluster\r
        cluster_enabled:0\r
        """

    private static func facts(_ changes: [(String, String)] = []) -> RedisFacts {
        var facts = RedisFacts()
        facts.roundTrip = .microseconds(250)
        facts.info = .success(RedisInfo(changes.reduce(goodInfo) { $0.replacing($1.0, with: $1.1) }))
        facts.save = .success("")
        facts.appendOnly = .success("yes")
        facts.policy = .success("noeviction")
        facts.lifetimes = .success((seen: 10, endless: 0, isComplete: true))
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
        #expect(health.items.count == 10 && !health.hasFailure)
        #expect(health["reachable"]?.detail == "answers in 0.2 ms")
        #expect(health["replicas"]?.detail == "1 connected, REDIS_WAIT_REPLICAS is 1")
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
        facts.lifetimes = .failure(.init(.notPermitted))
        let health = Self.health(facts)
        #expect(!health.hasFailure)
        for name in ["version", "role", "eviction", "memory", "persistence", "lifetimes", "replicas"] {
            #expect(health[name] == .init(name, .unknown, "unknown: not permitted"))
        }
    }

    @Test("Keys without TTL, too few replicas and a refused write are told")
    func others() {
        var facts = Self.facts()
        facts.lifetimes = .success((seen: 10, endless: 3, isComplete: false))
        facts.writes = .failure(.init(.failed("its memory is full"), kind: .outOfMemory))
        facts.tracking = .failure(.init(.notPermitted))
        let health = Self.health(facts, waitReplicas: 2)
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
}
