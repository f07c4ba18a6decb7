import Cloakroom
import Foundation
import Testing

/// Every form of the plain record that was ever written, by us or by others, must still open.
@Suite struct PlainRecordTests {
    private func decode(_ text: String) throws -> Session { try PlainRecord.decode(Array(text.utf8)) }

    /// The form that other programs write; frozen.
    static let foreign = """
        {"tokens": {"access_token": "a", "refresh_token": "r", "id_token": "i", "expires_in": 300,
         "refresh_expires_in": 1800}, "user_info": {"sub": "248289761001", "email": "jane@example.com",
         "name": "Jane Doe", "preferred_username": "jane", "given_name": "Jane", "family_name": "Doe", "locale": "de"},
         "created_at": "2024-01-15T10:30:00", "expires_at": "2024-01-15T18:30:00"}
        """

    /// What version 1 writes; frozen. A change that breaks this test would log out users in a rolling deploy.
    static let version1 =
        #"{"tokens":{"access_token":"a","refresh_token":"r2","id_token":null,"expires_in":300,"refresh_expires_in":null},"#
        + #""user_info":{"sub":"s","name":"Zoë"},"created_at":"2024-01-15T10:30:00","expires_at":"2024-01-15T18:30:00","#
        + #""refreshed_at":"2024-01-15T10:35:00","theme":{"dark":true,"scale":1.10}}"#

    /// What version 2 writes: issuer, provider session, client and attributes. Frozen.
    static let version2 =
        #"{"tokens":{"access_token":"a","refresh_token":"r2","id_token":null,"expires_in":300,"refresh_expires_in":null},"#
        + #""user_info":{"sub":"s"},"created_at":"2024-01-15T10:30:00","expires_at":"2024-01-15T18:30:00","#
        + #""issuer":"https://sso.example.com/realms/main","sid":"08a5019c","#
        + #""client":{"user_agent":"Mozilla/5.0","address":"192.0.2.7"},"attributes":{"cart":{"items":[1.10,null]}},"#
        + #""theme":{"dark":true}}"#

    @Test("version 2 is read and written to the letter, the app's own data included")
    func version2IsStable() throws {
        let session = try decode(Self.version2)
        #expect(String(decoding: PlainRecord.encode(session), as: UTF8.self) == Self.version2)
        #expect(session.user == UserIdentity(issuer: "https://sso.example.com/realms/main", subject: "s"))
        #expect(session.providerSession?.sid == "08a5019c")
        #expect(session.client == SessionClient(userAgent: "Mozilla/5.0", address: "192.0.2.7"))
        #expect(session.attributes.values["cart"] == ["items": [.number("1.10"), .null]])
        #expect(session.otherFields == ["theme": ["dark": true]])
    }

    @Test("members of our names but of another type are kept as they are, and count as absent")
    func foreignMembersOfOurNames() throws {
        let text =
            Self.version1.dropLast()
            + #","issuer":5,"sid":{"a":1},"client":{"user_agent":"x","os":"y"},"attributes":[1]}"#
        let session = try decode(String(text))
        #expect(session.issuer == nil && session.providerSessionID == nil && session.client == nil)
        #expect(session.attributes.isEmpty)
        #expect(String(decoding: PlainRecord.encode(session), as: UTF8.self) == text)
        // Ours then stand in their place, never beside them.
        var attributes = SessionAttributes()
        attributes[Number.self] = 1
        let updated = String(decoding: PlainRecord.encode(try session.updated(with: attributes)), as: UTF8.self)
        #expect(updated.contains(#""attributes":{"number":1}"#) && !updated.contains(#""attributes":[1]"#))
    }

    private enum Number: SessionAttributeKey {
        typealias Value = Int
        static let name = "number"
    }

    @Test(
        "a record of the last release tells issuer and provider session by its ID token; new tokens do not change them")
    func namesFromTheIDToken() throws {
        func token(_ claims: JSONValue) -> String { "e30.\(Base64URL.encode(claims.serialized)).x" }
        let first = token(["iss": "https://a.example", "sid": "one"])
        let text = Self.version1.replacing(#""id_token":null"#, with: "\"id_token\":\"\(first)\"")
        let session = try decode(text)
        #expect(session.issuer == "https://a.example" && session.providerSessionID == "one")
        let tokens = TokenSet(accessToken: "b", idToken: token(["iss": "https://b.example", "sid": "two"]))
        let refreshed = try PlainRecord.decode(PlainRecord.encode(session.refreshed(with: tokens, at: .now)))
        #expect(refreshed.issuer == "https://a.example" && refreshed.providerSessionID == "one")
    }

    @Test(
        "attributes beyond their bounds are refused with an error that says which, and a wrong type is told from none")
    func attributeBounds() throws {
        func code(_ values: JSONObject) -> SessionAttributesError.Code? {
            do throws(SessionAttributesError) {
                try SessionAttributes(values).check()
                return nil
            } catch {
                return error.code
            }
        }
        #expect(code(["a": .string(String(repeating: "x", count: 65_000))]) == nil)
        #expect(code(["a": .string(String(repeating: "x", count: 65_536))]) == .tooLarge)
        #expect(code(JSONObject((0..<129).map { ("\($0)", .null) })) == .tooLarge)
        #expect(code(["": 1]) == .invalidName && code([String(repeating: "n", count: 65): 1]) == .invalidName)
        var deep: JSONValue = 1
        for _ in 0..<SessionAttributes.maximumDepth { deep = [deep] }
        #expect(code(["a": deep]) == nil)
        #expect(code(["a": [deep]]) == .tooDeep)
        let stored = try decode(
            String(decoding: PlainRecord.encode(decode(Self.version1).updated(with: .init(["a": deep]))), as: UTF8.self)
        )
        #expect(stored.attributes.values["a"] == deep, "what may be stored can be read")
        let attributes = SessionAttributes(["number": "text"])
        #expect(attributes[Number.self] == nil)
        #expect(throws: SessionAttributesError.self) { try attributes.value(for: Number.self) }
    }

    @Test func readsTheForeignForm() throws {
        let session = try decode(Self.foreign)
        #expect(
            session.tokens
                == TokenSet(accessToken: "a", refreshToken: "r", idToken: "i", expiresIn: 300, refreshExpiresIn: 1800))
        #expect(session.userInfo.subject == "248289761001" && session.userInfo.email == "jane@example.com")
        #expect(session.userInfo.givenName == "Jane" && session.userInfo.familyName == "Doe")
        #expect(session.userInfo["locale"] == "de")
        #expect(session.createdAt == Date(timeIntervalSince1970: 1_705_314_600))
        #expect(session.expiresAt.timeIntervalSince(session.createdAt) == 8 * 3600)
        #expect(session.accessTokenExpiresAt == session.createdAt.addingTimeInterval(300))
    }

    @Test("version 1 is read and written to the letter, unknown members included")
    func version1IsStable() throws {
        let session = try decode(Self.version1)
        #expect(String(decoding: PlainRecord.encode(session), as: UTF8.self) == Self.version1)
        #expect(session.refreshedAt == Date(timeIntervalSince1970: 1_705_314_900))
        #expect(session.accessTokenExpiresAt == Date(timeIntervalSince1970: 1_705_315_200))
    }

    @Test("members that Cloakroom does not know survive a refresh untouched")
    func unknownMembersSurvive() throws {
        let text =
            Self.foreign.replacing(#""expires_in": 300"#, with: #""expires_in": 300, "scope": "openid", "n": 1e2"#)
            .dropLast() + #", "cart": [{"id": 12345678901234567890}], "flag": null}"#
        let refreshed = try decode(String(text)).refreshed(with: TokenSet(accessToken: "b"), at: .now)
        let written = try #require(try JSONValue(parsing: PlainRecord.encode(refreshed)).object)
        #expect(written["cart"] == [["id": .number("12345678901234567890")]])
        #expect(written["flag"] == .null)
        #expect(written["tokens"]?.object?["scope"] == "openid" && written["tokens"]?.object?["n"] == .number("1e2"))
        #expect(written["tokens"]?.object?["access_token"] == "b" && written["tokens"]?.object?["refresh_token"] == "r")
    }

    @Test("the access token's own exp counts before expires_in")
    func accessTokenExpiry() throws {
        let claims = Base64URL.encode(Array(#"{"sub":"s","exp":1705320000.5}"#.utf8))
        let session = try decode(Self.foreign.replacing(#""a""#, with: "\"e30.\(claims).sig\""))
        #expect(session.accessTokenExpiresAt == Date(timeIntervalSince1970: 1_705_320_000.5))
        for notJWT in ["a.b", "a.b.c", "..", "e30.\(Base64URL.encode(Array(#"{"exp":1e400}"#.utf8))).x"] {
            let session = try decode(Self.foreign.replacing(#""a""#, with: "\"\(notJWT)\""))
            #expect(session.accessTokenExpiresAt == session.createdAt.addingTimeInterval(300))
        }
    }

    @Test(
        "what is no session is refused, with an error that quotes nothing",
        arguments: [
            "", "null", "[]", "42", #""text""#, "{}", "not json s3cret", #"{"tokens":{"access_token":"s3cret"}}"#,
            foreign.replacing(#""tokens": {"#, with: #""tokens": ["#),
            foreign.replacing(#""access_token": "a","#, with: ""),
            foreign.replacing(#""a""#, with: "7"), foreign.replacing(#""r""#, with: "{}"),
            foreign.replacing("300", with: "[]"),
            foreign.replacing("2024-01-15T10:30:00", with: "s3cret"),
            foreign.replacing("2024-01-15T18", with: "2024-02-30T18"),
            foreign.replacing(#""2024-01-15T18:30:00""#, with: "1705314600"), String(foreign.dropLast(40)),
            String(foreign.dropLast()),
            foreign.replacing(#""user_info": {"#, with: #""userinfo": {"#),
        ])
    func refused(_ text: String) {
        let error = #expect(throws: SessionRecordError.self) { try decode(text) }
        #expect(error.map { !$0.description.contains("s3cret") } == true)
    }

    @Test("other members can't stand in for those of the record")
    func shadowing() throws {
        let fake: JSONObject = ["access_token": "x", "tokens": 1, "expires_at": "x", "mine": 1]
        let session = Session(
            tokens: TokenSet(accessToken: "a", otherFields: fake), userInfo: UserInfo(subject: "s"), createdAt: .now,
            expiresAt: .now, otherFields: fake)
        let read = try PlainRecord.decode(PlainRecord.encode(session))
        #expect(read.tokens.accessToken == "a" && read.tokens.otherFields["mine"] == 1)
        #expect(read.expiresAt == session.expiresAt && read.otherFields["mine"] == 1)
    }

    @Test("a session is the same before it was stored and after, its times included")
    func sameWhenRead() throws {
        let now = Date(timeIntervalSince1970: 1_705_314_600.75)
        let session = Session(
            tokens: TokenSet(accessToken: "a"), userInfo: UserInfo(subject: "s"), createdAt: now,
            expiresAt: now.addingTimeInterval(60)
        ).refreshed(with: TokenSet(accessToken: "b"), at: now)
        #expect(try PlainRecord.decode(PlainRecord.encode(session)) == session)
    }

    @Test("claims as deep as a provider may nest them can be read once stored")
    func depth() throws {
        let depth = JSONValue.maximumDepth
        let text = String(repeating: #"{"a":"#, count: depth) + "1" + String(repeating: "}", count: depth)
        let claims = try #require(try JSONValue(parsing: Array(text.utf8)).object)
        let session = Session(
            tokens: TokenSet(accessToken: "a"), userInfo: UserInfo(claims: claims), createdAt: .now, expiresAt: .now)
        #expect(try PlainRecord.decode(PlainRecord.encode(session)).userInfo.claims == claims)
    }

    @Test func tooLarge() {
        let text = #"{"tokens":{"access_token":""# + String(repeating: "x", count: PlainRecord.maximumSize) + #""}}"#
        #expect(throws: SessionRecordError.self) { try decode(text) }
    }
}

@Suite struct TimestampTests {
    @Test(
        "times are read with and without fraction, Z and offset",
        arguments: [
            ("2024-01-15T10:30:00", 1_705_314_600.0), ("2024-01-15T10:30:00Z", 1_705_314_600),
            ("2024-01-15T10:30:00.25", 1_705_314_600.25), ("2024-01-15T10:30:00.500000+00:00", 1_705_314_600.5),
            ("2024-01-15T12:30:00+02:00", 1_705_314_600), ("2024-01-15T05:00:00-0530", 1_705_314_600),
            ("2024-01-15 10:30:00z", 1_705_314_600), ("2024-02-29T23:59:60Z", 1_709_251_200),
            ("1970-01-01T00:00:00", 0),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ])
    func reads(_ text: String, _ seconds: Double) {
        #expect(Timestamp.parse(text) == Date(timeIntervalSince1970: seconds))
    }

    @Test(
        "anything else is not a time",
        arguments: [
            "", "2024", "2024-13-01T00:00:00", "2023-02-29T00:00:00", "2024-01-15T24:00:00", "2024-01-15T10:30",
            "2024-01-15T10:30:00.",
            "2024-01-15T10:30:00Zx", "2024-01-15T10:30:00+25:00", "1969-12-31T23:59:59", "20240115T103000",
            "2024-01-15T10:30:00.\(String(repeating: "1", count: 100))", "-024-01-15T10:30:00",
            // Within the years as written, out of them in UTC: we could not write them.
            "1970-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "9999-12-31T23:59:60Z",
        ])
    func refuses(_ text: String) {
        #expect(Timestamp.parse(text) == nil)
    }

    @Test(
        "whatever is written can be read, also of times out of the years",
        arguments: [-1e300, -62_135_596_800, -1, 253_402_300_800, 1e300, .infinity, -.infinity, .nan])
    func writesNearest(_ seconds: Double) {
        #expect(Timestamp.parse(Timestamp.format(Date(timeIntervalSince1970: seconds))) != nil)
    }

    @Test("writing agrees with Foundation's calendar over four centuries")
    func writes() {
        let formatter = ISO8601DateFormatter()
        formatter.formatOptions = [.withFullDate, .withTime, .withColonSeparatorInTime, .withDashSeparatorInDate]
        for step in 0..<2000 {
            let date = Date(timeIntervalSince1970: Double(step) * 6_311_520.0 + 0.75)
            let text = Timestamp.format(date)
            #expect(text == formatter.string(from: date))
            #expect(Timestamp.parse(text)?.timeIntervalSince1970 == date.timeIntervalSince1970.rounded(.down))
        }
    }
}
