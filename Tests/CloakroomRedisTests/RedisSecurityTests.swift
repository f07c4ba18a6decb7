import CloakroomRedisClient
import NIOCore
import Testing

@testable import CloakroomRedis

@Suite struct RedisSecurityTests {
    private static func items(
        _ url: String, _ change: (inout RedisSecurity.Facts) throws -> Void = { _ in }
    ) throws -> [String: RedisHealth.Item] {
        var facts = RedisSecurity.Facts()
        facts.stranger = .failure(RedisFactError(.failed("HELLO: Redis answered NOAUTH (it asks for a password)")))
        facts.addresses = [try SocketAddress(ipAddress: "10.0.0.5", port: 6379)]
        facts.user = .success("cloakroom")
        facts.permitted = .success([])
        facts.bind = .success("127.0.0.1 -::1")
        facts.protectedMode = .success("yes")
        facts.port = .success("0")
        facts.slowLogThreshold = .success("10000")
        facts.clients = .success(["cloakroom": ["10.0.0.7"]])
        try change(&facts)
        return RedisSecurityRules(facts: facts, url: try RedisURL(url)).items.reduce(into: [:]) { $0[$1.name] = $1 }
    }

    @Test("A guarded server has nothing to be done about it, and what can't be seen says so")
    func good() throws {
        let items = try Self.items("rediss://cloakroom:p@redis.internal:6379")
        #expect(items.count == 9)
        for (name, item) in items {
            #expect(item.status == (name == "firewall" ? .unknown : .ok), "\(item)")
            #expect(name != "firewall" || item.detail.contains("can't be seen from here"))
        }
    }

    @Test("An open server is told point by point")
    func bad() throws {
        let items = try Self.items("redis://redis.example.com:6379") { facts in
            facts.stranger = .success(())
            facts.addresses = [try SocketAddress(ipAddress: "203.0.113.9", port: 6379)]
            facts.user = .success("default")
            facts.permitted = .success(["CONFIG", "FLUSHALL"])
            facts.bind = .success("* -::*")
            facts.protectedMode = .success("no")
            facts.slowLogThreshold = .success("-1")
            facts.clients = .success(["": ["198.51.100.4"], "cloakroom": ["10.0.0.7"]])
        }
        for name in ["auth", "tls", "network", "firewall"] { #expect(items[name]?.status == .fail, "\(name)") }
        for name in ["user", "commands", "bind", "slowlog"] { #expect(items[name]?.status == .warn, "\(name)") }
        for item in items.values where item.status != .ok { #expect(item.remedy != nil, "\(item)") }
    }

    @Test("Without TLS a private network is a warning, and this machine none")
    func transport() throws {
        #expect(try Self.items("redis://redis:6379")["tls"]?.status == .warn)
        let local = try Self.items("redis://redis:6379") {
            $0.addresses = [try SocketAddress(ipAddress: "::1", port: 1)]
        }
        #expect(local["tls"]?.status == .ok)
        #expect(try Self.items("redis://redis:6379") { $0.addresses = nil }["network"]?.status == .unknown)
        #expect(try Self.items("unix:/run/redis.sock") { $0.addresses = [] }["tls"]?.status == .ok)
        #expect(try Self.items("rediss://redis:6379") { $0.port = .success("6379") }["plain-port"]?.status == .warn)
    }

    @Test("What may not be asked is unknown, with the reason")
    func forbidden() throws {
        let items = try Self.items("rediss://redis:6379") { facts in
            let no = RedisFactError(.notPermitted)
            (facts.bind, facts.port, facts.slowLogThreshold) = (.failure(no), .failure(no), .failure(no))
            (facts.permitted, facts.clients) = (.failure(no), .failure(no))
        }
        for name in ["bind", "plain-port", "slowlog", "firewall"] {
            #expect(items[name]?.status == .unknown && items[name]?.detail.contains("from here") == true, "\(name)")
        }
        // Who may use neither ACL nor CONFIG is no administrator.
        #expect(items["commands"]?.status == .ok)
    }

    @Test(
        "Addresses are told apart",
        arguments: [
            ("10.1.2.3", true), ("172.16.0.1", true), ("172.32.0.1", false), ("192.168.1.1", true), ("127.0.0.9", true),
            ("100.64.0.1", true), ("100.128.0.1", false), ("169.254.1.1", true), ("8.8.8.8", false), ("::1", true),
            ("fd00::1", true), ("fe80::1", true), ("2001:db8::1", false), ("::ffff:10.0.0.1", true),
            ("::ffff:8.8.8.8", false), ("[::1]", true), ("redis", false),
        ])
    func addresses(text: String, isPrivate: Bool) { #expect(PrivateAddress.contains(text) == isPrivate) }

    @Test("Of CLIENT LIST addresses are taken, by the names of programs")
    func clients() {
        let list = """
            id=3 addr=10.0.0.7:41000 laddr=10.0.0.5:6379 fd=8 name=cloakroom age=1\r
            id=4 addr=10.0.0.7:41001 laddr=10.0.0.5:6379 fd=8 name=cloakroom age=1\r
            id=5 addr=[fd00::1]:41001 laddr=10.0.0.5:6379 fd=8 name= age=1\r
            """
        #expect(RedisSecurity.readClients(list) == ["cloakroom": ["10.0.0.7"], "": ["[fd00::1]"]])
    }
}
