import Testing

@testable import CloakroomRedisClient

@Suite struct RedisURLTests {
    @Test(
        "the forms of the URL",
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
        "malformed URLs: the error says where, and quotes nothing",
        arguments: [
            ("", 1), ("localhost:6379", 1), ("http://s3cret@h", 1), ("redis:/s3cret", 1), ("redis://", 9),
            ("redis://:s3cret@", 17),
            ("redis://:s3cret@h:port", 19), ("redis://:s3cret@h:0", 19), ("redis://:s3cret@h:65536", 19),
            ("redis://h:", 11),
            ("redis://:s3cret@h/x", 19), ("redis://h/-1", 11), ("redis://h/1/2", 11), ("redis://h?db=1", 10),
            ("redis://a b", 10),
            ("redis://:s3cr%zzet@h", 9), ("redis://:s3cr%e@h", 9), ("redis://:%ff@h", 9), ("redis://:s3/cret@h", 9),
            ("redis://[::1", 9), ("redis://[]", 9), ("redis://h\u{e9}", 10), ("rediss://:s3cret@h", 1),
            ("redis+sentinel://h/m", 1),
            ("redis+cluster://h", 1), ("unix:/s3cret", 1), ("redis://:s3cret@h:99999999999999999999", 19),
        ])
    func malformed(_ text: String, _ position: Int) {
        let error = #expect(throws: RedisURLError.self) { try RedisURL(text) }
        #expect(error?.position == position)
        #expect(error.map { !"\($0)".contains("s3") } == true)
    }

    @Test func tooLong() {
        #expect(throws: RedisURLError.self) { try RedisURL("redis://" + String(repeating: "a", count: 5000)) }
    }
}
