import Testing

@testable import CloakroomRedisClient

@Suite struct RedisURLTests {
    @Test(
        "one server",
        arguments: [
            ("redis://redis:6379/0", "redis://redis:6379/0", "redis", 6379, 0),
            ("redis://localhost", "redis://localhost:6379/0", "localhost", 6379, 0),
            ("REDIS://localhost/", "redis://localhost:6379/0", "localhost", 6379, 0),
            ("redis://10.0.0.1:7000/15", "redis://10.0.0.1:7000/15", "10.0.0.1", 7000, 15),
            ("redis://[::1]:7000/1", "redis://[::1]:7000/1", "::1", 7000, 1),
            (
                "redis://my-cache.prod_1.internal", "redis://my-cache.prod_1.internal:6379/0",
                "my-cache.prod_1.internal", 6379, 0
            ),
        ])
    func forms(_ text: String, _ shown: String, _ host: String, _ port: Int, _ database: Int) throws {
        let url = try RedisURL(text)
        #expect(url.description == shown && url.servers == [.tcp(host: host, port: port)] && url.database == database)
        #expect(url.user == nil && url.password == nil)
    }

    @Test(
        "credentials are percent-decoded, and the password is never shown",
        arguments: [
            ("redis://:s3cret@h", nil, "s3cret", "redis://:***@h:6379/0"),
            ("redis://app:s3cret@h:1/2", "app", "s3cret", "redis://app:***@h:1/2"),
            ("redis://app:s3cret%2F%40%3a%25@h", "app", "s3cret/@:%", "redis://app:***@h:6379/0"),
            ("redis://app:s3cret@x:y@h", "app", "s3cret@x:y", "redis://app:***@h:6379/0"),
            ("redis://app@h", "app", nil, "redis://app@h:6379/0"),
        ] as [(String, String?, String?, String)])
    func credentials(_ text: String, _ user: String?, _ password: String?, _ shown: String) throws {
        let url = try RedisURL(text)
        #expect(url.user == user && url.password == password)
        var dumped = ""
        dump(url, to: &dumped)
        for description in ["\(url)", String(reflecting: url), dumped] { #expect(!description.contains("s3cret")) }
        #expect("\(url)" == shown)
    }

    @Test(
        "TLS, sentinels and clusters",
        arguments: [
            ("rediss://h", "rediss://h:6379/0", .standalone, ["h:6379"], true, 0),
            (
                "RedisS://u:p@[2001:db8::1]:1/3", "rediss://u:***@[2001:db8::1]:1/3", .standalone, ["[2001:db8::1]:1"],
                true, 3
            ),
            (
                "redis+sentinel://h1,h2:26380,[::1]/mymaster/2",
                "redis+sentinel://h1:26379,h2:26380,[::1]:26379/mymaster/2",
                .sentinel(primaryName: "mymaster"), ["h1:26379", "h2:26380", "[::1]:26379"], false, 2
            ),
            (
                "redis+sentinel://h/my-master.1_a", "redis+sentinel://h:26379/my-master.1_a/0",
                .sentinel(primaryName: "my-master.1_a"), ["h:26379"], false, 0
            ),
            (
                "rediss+sentinel://:pw@h:1/m/", "rediss+sentinel://:***@h:1/m/0", .sentinel(primaryName: "m"), ["h:1"],
                true, 0
            ),
            (
                "redis+cluster://h1:7000,h2", "redis+cluster://h1:7000,h2:6379", .cluster, ["h1:7000", "h2:6379"],
                false, 0
            ),
            ("redis+cluster://h/", "redis+cluster://h:6379", .cluster, ["h:6379"], false, 0),
            ("rediss+cluster://u@h/0", "rediss+cluster://u@h:6379", .cluster, ["h:6379"], true, 0),
        ] as [(String, String, RedisURL.Topology, [String], Bool, Int)])
    func topologies(
        _ text: String, _ shown: String, _ topology: RedisURL.Topology, _ servers: [String], _ isTLS: Bool,
        _ database: Int
    ) throws {
        let url = try RedisURL(text)
        #expect(url.description == shown && url.topology == topology && url.isTLS == isTLS && url.database == database)
        #expect(url.servers.map(\.description) == servers)
        let again = try RedisURL(shown)
        #expect(again.topology == topology && again.servers == url.servers && again.description == shown)
    }

    @Test(
        "Unix sockets",
        arguments: [
            ("unix:/run/redis.sock", "/run/redis.sock", nil, nil, 0, "unix:///run/redis.sock?db=0"),
            ("unix:///run/redis.sock", "/run/redis.sock", nil, nil, 0, "unix:///run/redis.sock?db=0"),
            ("UNIX:///a@b:c?db=3", "/a@b:c", nil, nil, 3, "unix:///a%40b%3Ac?db=3"),
            ("unix:/a?db=15", "/a", nil, nil, 15, "unix:///a?db=15"),
            ("unix://app:s3cret@/a/b?db=1", "/a/b", "app", "s3cret", 1, "unix://app:***@/a/b?db=1"),
            ("redis+unix://:s3%2Fcret@/a%20b%3f", "/a b?", nil, "s3/cret", 0, "unix://:***@/a%20b%3F?db=0"),
            ("redis+unix:///a", "/a", nil, nil, 0, "unix:///a?db=0"),
        ] as [(String, String, String?, String?, Int, String)])
    func sockets(
        _ text: String, _ path: String, _ user: String?, _ password: String?, _ database: Int, _ shown: String
    ) throws {
        let url = try RedisURL(text)
        #expect(url.servers == [.unix(path: path)] && url.topology == .standalone && !url.isTLS)
        #expect(url.user == user && url.password == password && url.database == database && url.description == shown)
        #expect(try RedisURL(shown).servers == url.servers)
    }

    @Test("a zone of an IPv6 address, as it is and as a strict URL writes it", arguments: ["%", "%25"])
    func zone(_ percent: String) throws {
        #expect(try RedisURL("redis://[fe80::1\(percent)eth0]").servers == [.tcp(host: "fe80::1%eth0", port: 6379)])
    }

    @Test("what would break a line of a log is shown encoded")
    func shownEncoded() throws {
        #expect(try RedisURL("redis://a%0Ab:x@h").description == "redis://a%0Ab:***@h:6379/0")
        #expect(try RedisURL("unix:/a%1Bb").description == "unix:///a%1Bb?db=0")
    }

    @Test("64 hosts are enough")
    func manyHosts() throws {
        let hosts = (1...64).map { "h\($0)" }.joined(separator: ",")
        #expect(try RedisURL("redis+cluster://\(hosts)").servers.count == 64)
        let error = #expect(throws: RedisURLError.self) { try RedisURL("redis+cluster://\(hosts),s3cret") }
        #expect(error?.position == 17 + hosts.count && error?.reason == "there are more than 64 hosts")
    }

    @Test("the error shows the form that is meant")
    func form() {
        for (text, form) in [
            ("redis://", "redis://[user[:password]@]host[:port][/db]"),
            ("rediss+sentinel://", "rediss+sentinel://[user[:password]@]host[:port][,host[:port]…]/name[/db]"),
            ("redis+cluster://", "redis+cluster://[user[:password]@]host[:port][,host[:port]…]"),
            ("unix:", "unix://[user[:password]@]/path[?db=number]"),
        ] {
            let error = #expect(throws: RedisURLError.self) { try RedisURL(text) }
            #expect(error?.description.hasSuffix("; the form is \(form)") == true)
        }
        let error = #expect(throws: RedisURLError.self) { try RedisURL("valkey://h") }
        #expect(error?.description.contains("redis+sentinel://") == true)
    }

    @Test(
        "malformed URLs: the error says where, and quotes nothing",
        arguments: [
            ("", 1), ("localhost:6379", 1), ("http://s3cret@h", 1), ("redis:/s3cret", 1), ("redis://", 9),
            ("redis://:s3cret@", 17),
            ("redis://:s3cret@h:port", 19), ("redis://:s3cret@h:0", 19), ("redis://:s3cret@h:65536", 19),
            ("redis://h:", 11),
            ("redis://:s3cret@h/x", 19), ("redis://h/-1", 11), ("redis://h/1/2", 11), ("redis://h?db=1", 10),
            ("redis://a b", 10),
            ("redis://:s3cr%zzet@h", 9), ("redis://:s3cr%e@h", 9), ("redis://:%ff@h", 9), ("redis://:s3/cret@h", 9),
            ("redis://[::1", 9), ("redis://[]", 9), ("redis://h\u{e9}", 10),
            ("redis://:s3cret@h:99999999999999999999", 19),
            ("rediss:/s3cret", 1), ("rediss://", 10), ("redis+tls://:s3cret@h", 1), ("redis+sentinels://s3", 1),
            ("redis://h1,h2", 11), ("rediss://h1:1,h2", 14), ("redis://[s3cret]", 9), ("redis://[1.2.3.4]", 9),
            ("redis://[fe80::1%]", 9), ("redis://[::1]s3", 14), ("redis://[fe80::1%s3/]", 9),
            ("redis+sentinel://", 18), ("redis+sentinel://h", 19), ("redis+sentinel://h/", 20),
            ("redis+sentinel://h//0", 20), ("redis+sentinel://h1,/m", 21), ("redis+sentinel://,h/m", 18),
            ("redis+sentinel://h1,h2:s3/m", 24), ("redis+sentinel://h/m s3", 21), ("redis+sentinel://h/m/s3", 22),
            ("redis+sentinel://h/m?db=1", 21), ("redis+sentinel://s3cret@:1/m", 25),
            ("redis+cluster://", 17), ("redis+cluster://h/1", 19), ("redis+cluster://h/s3", 19),
            ("redis+cluster://h1 h2", 19), ("redis+cluster://:s3/cret@h", 17), ("rediss+cluster://h/00001", 20),
            ("unix:", 6), ("unix:s3cret", 6), ("unix:/", 6), ("unix://", 8), ("unix:///", 8), ("unix:?db=1", 6),
            ("unix://s3cret/path", 8), ("unix://:s3cret@", 16), ("unix://:s3/cret@/path", 8),
            ("unix:/path?db=s3", 15), ("unix:/path?db=", 15), ("unix:/path?s3=1", 11), ("unix:/path#s3", 11),
            ("unix:/path?db=1&s3=2", 15), ("unix:/a%0", 6), ("unix:/a%00s3", 6), ("unix:/%ff", 6),
            ("redis+unix:/path", 1), ("rediss+unix:///path", 1),
        ])
    func malformed(_ text: String, _ position: Int) {
        let error = #expect(throws: RedisURLError.self) { try RedisURL(text) }
        #expect(error?.position == position)
        #expect(error.map { !"\($0)".contains("s3") } == true)
    }

    @Test("a path that no address of a socket holds")
    func longPath() throws {
        #expect(throws: RedisURLError.self) { try RedisURL("unix:/" + String(repeating: "a", count: 107)) }
        _ = try RedisURL("unix:/" + String(repeating: "a", count: 106))
    }

    @Test("a name of a host or a primary is at most 255 characters long")
    func longNames() throws {
        let long = String(repeating: "a", count: 256)
        for text in ["redis://\(long)", "redis+sentinel://h/\(long)", "redis://[\(long)]"] {
            #expect(throws: RedisURLError.self) { try RedisURL(text) }
        }
        _ = try RedisURL("redis+sentinel://\(long.dropLast())/\(long.dropLast())")
    }

    @Test func tooLong() {
        #expect(throws: RedisURLError.self) { try RedisURL("redis://" + String(repeating: "a", count: 5000)) }
    }
}
