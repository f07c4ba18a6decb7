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
        #expect(schema.session(.plain(id)) == prefix + id.secret)
        #expect(schema.session(.sealed(id)).hasPrefix(prefix + "sha256:"))
        #expect(!schema.session(.sealed(id)).contains(id.secret), "R41: a sealed session's key does not tell its ID")
        for name in [RecordName.plain(id), .sealed(id)] {
            #expect(schema.name(ofSessionKey: schema.session(name)) == name && name.handle == id.handle)
        }
        let jane = UserIdentity(issuer: nil, subject: "jane")
        let others = [
            schema.userIndex(jane), schema.providerSessionIndex(.init(issuer: nil, sid: "s")),
            schema.summary(.sealed(id)),
            schema.refreshLease(id), schema.replica("r"), schema.replicaIndex,
        ]
        #expect(schema.oneTimeRecord("k") == once)
        #expect(KeySchema.sessionPrefix(ofReplicaIndex: schema.replicaIndex) == prefix)
        for key in others + [once] {
            #expect(schema.isOurs(key))
            #expect(!key.hasPrefix(prefix) && !key.contains(id.secret) && schema.name(ofSessionKey: key) == nil)
        }
        #expect(
            Set(others).count == others.count
                && schema.userIndex(jane) != schema.providerSessionIndex(.init(issuer: nil, sid: "jane")))
    }

    @Test("the default issuer's index keys are those of the last release; other issuers have keys of their own")
    func issuers() {
        // What the release before issuers wrote for these names.
        let former = KeySchema(sessionPrefix: "session:")
        let schema = KeySchema(sessionPrefix: "session:", defaultIssuer: "https://a.example")
        let jane = former.userIndex(UserIdentity(issuer: nil, subject: "jane"))
        #expect(jane == "session-index:user:gfj23eiDZfOSh5bseqU_cg")
        for issuer in [nil, "https://a.example"] {
            #expect(schema.userIndex(UserIdentity(issuer: issuer, subject: "jane")) == jane)
            let session = ProviderSession(issuer: issuer, sid: "s")
            #expect(
                schema.providerSessionIndex(session) == former.providerSessionIndex(.init(issuer: nil, sid: "s")))
        }
        let others = ["https://b.example", "https://a.example/", "https://A.example"].map {
            schema.userIndex(UserIdentity(issuer: $0, subject: "jane"))
        }
        #expect(Set(others + [jane]).count == 4)
        // No issuer and subject together make what another pair makes.
        let shifted = schema.userIndex(UserIdentity(issuer: "https://b", subject: ".example jane"))
        #expect(!others.contains(shifted))
    }

    @Test("what is no name of a session is none, whoever wrote the key")
    func foreignKeys() {
        let schema = KeySchema(sessionPrefix: "session:")
        for key in [
            "session:", "session:short", "session:has a space in it....", "session:sha256:", "session:sha256:AAAA",
            "session:sha256:\(String(repeating: "A", count: 44))", "other:0123456789abcdef",
        ] {
            #expect(schema.name(ofSessionKey: key) == nil, "\(key)")
        }
    }

    @Test("a prefix that SCAN would take for a pattern is escaped")
    func patterns() {
        #expect(KeySchema(sessionPrefix: "a*b?[c]\\:").sessionPattern == "a\\*b\\?\\[c\\]\\\\:*")
        #expect(KeySchema(sessionPrefix: "session:").indexPattern == "session-index:*")
    }

    @Test("the URL of a store shows no password, reflected or dumped")
    func redaction() throws {
        let url = try RedisURL("redis://app:s3cret@h:1/2")
        var configuration = RedisStoreConfiguration(url: url)
        configuration.sentinelPassword = "s3cret"
        for value in [url, configuration, Optional(url) as Any] as [Any] {
            var dumped = ""
            dump(value, to: &dumped)
            for text in ["\(value)", String(reflecting: value), dumped] { #expect(!text.contains("s3cret")) }
        }
        let error = #expect(throws: RedisURLError.self) { try RedisURL("redis://app:s3cret@h:x") }
        #expect(error.map { !"\($0)".contains("s3cret") } == true)
    }
}
