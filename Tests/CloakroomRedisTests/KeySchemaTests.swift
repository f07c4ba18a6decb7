import Cloakroom
import Testing

@testable import CloakroomRedis

@Suite struct KeySchemaTests {
    @Test(
        "a session's key is prefix and ID; keys of other things do not begin with the prefix",
        arguments: [
            ("session:", "session-once:k"), ("shop:session:", "shop:session-once:k"), ("s", "once-s:k"),
            ("sess-", "once-sess-:k"),
        ])
    func keys(_ prefix: String, _ once: String) {
        let schema = KeySchema(sessionPrefix: prefix)
        let id = SessionID()
        #expect(schema.session(id) == prefix + id.secret)
        #expect(schema.oneTimeRecord("k") == once && !once.hasPrefix(prefix))
    }

    @Test("the URL of a store shows no password, reflected or dumped")
    func redaction() throws {
        let url = try RedisURL("redis://app:s3cret@h:1/2")
        let configuration = RedisStoreConfiguration(url: url)
        for value in [url, configuration, Optional(url) as Any] as [Any] {
            var dumped = ""
            dump(value, to: &dumped)
            for text in ["\(value)", String(reflecting: value), dumped] { #expect(!text.contains("s3cret")) }
        }
        let error = #expect(throws: RedisURLError.self) { try RedisURL("redis://app:s3cret@h:x") }
        #expect(error.map { !"\($0)".contains("s3cret") } == true)
    }
}
