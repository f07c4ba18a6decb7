import struct Foundation.Date

/// Why stored bytes are no session. Names the member, never its content.
public struct SessionRecordError: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String

    package init(_ description: String) { self.description = description }
}

/// The plain stored form of a session: one JSON object that other programs read and write, and so a frozen format.
///
/// ```json
/// {"tokens": {"access_token", "refresh_token", "id_token", "expires_in", "refresh_expires_in"},
///  "user_info": {"sub", "email", "name", "preferred_username", "given_name", "family_name", …},
///  "created_at": "2024-01-15T10:30:00", "expires_at": "2024-01-15T18:30:00"}
/// ```
/// Additions of ours, all optional, are `refreshed_at`, `issuer`, `sid`, `client` (`{"user_agent", "address"}`) and
/// `attributes` (one JSON value for each name). One of them that is of another type than ours is none of ours: it is kept
/// as it is, like what Cloakroom does not know. All five members of `tokens` are always written, `null` where there is no
/// value; what Cloakroom does not know is kept and written back.
package enum PlainRecord {
    /// The largest record that is read or written, in bytes.
    package static let maximumSize = 1 << 20

    /// Levels of nesting that the record adds to what it holds; what a provider may say must be readable once stored.
    private static let depth = 2

    // Other members can't stand in for these: a reader would take the later of the two.
    private static let ownMembers: Set<String> = ["tokens", "user_info", "created_at", "expires_at", "refreshed_at"]

    /// Whether the session has a member of its own of this name to write.
    private static func writes(_ name: String, of session: Session) -> Bool {
        switch name {
        case "issuer": session.issuer != nil
        case "sid": session.providerSessionID != nil
        case "client": session.client != nil
        case "attributes": !session.attributes.isEmpty
        default: ownMembers.contains(name)
        }
    }
    private static let ownTokenMembers: Set<String> = [
        "access_token", "refresh_token", "id_token", "expires_in", "refresh_expires_in",
    ]

    package static func encode(_ session: Session) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(4096)
        out.append(contentsOf: "{\"tokens\":".utf8)
        tokensObject(session.tokens).write(to: &out)
        out.append(contentsOf: ",\"user_info\":".utf8)
        session.userInfo.claims.write(to: &out)
        writeTime("created_at", session.createdAt, to: &out)
        writeTime("expires_at", session.expiresAt, to: &out)
        if let refreshedAt = session.refreshedAt { writeTime("refreshed_at", refreshedAt, to: &out) }
        if let issuer = session.issuer { writeMember("issuer", .string(issuer), to: &out) }
        if let sid = session.providerSessionID { writeMember("sid", .string(sid), to: &out) }
        if let client = session.client { writeMember("client", .object(client.object), to: &out) }
        if !session.attributes.isEmpty { writeMember("attributes", .object(session.attributes.values), to: &out) }
        for member in session.otherFields.members where !writes(member.name, of: session) {
            writeMember(member.name, member.value, to: &out)
        }
        out.append(UInt8(ascii: "}"))
        return out
    }

    private static func writeMember(_ name: String, _ value: JSONValue, to out: inout [UInt8]) {
        out.append(UInt8(ascii: ","))
        JSONValue.write(name, to: &out)
        out.append(UInt8(ascii: ":"))
        value.write(to: &out)
    }

    package static func decode(_ raw: UnsafeRawBufferPointer) throws(SessionRecordError) -> Session {
        guard raw.count <= maximumSize else { throw SessionRecordError("larger than \(maximumSize) bytes") }
        let record: JSONValue
        do throws(JSONParsingError) {
            record = try JSONValue(parsing: raw, maximumDepth: JSONValue.maximumDepth + depth)
        } catch {
            throw SessionRecordError("not JSON: \(error)")
        }
        guard let fields = record.object else { throw SessionRecordError("not a JSON object") }
        return try session(from: fields)
    }

    package static func decode(_ bytes: [UInt8]) throws(SessionRecordError) -> Session {
        try bytes.withUnsafeBufferPointer { (buffer) throws(SessionRecordError) in
            try decode(UnsafeRawBufferPointer(buffer))
        }
    }

    private static func session(from fields: JSONObject) throws(SessionRecordError) -> Session {
        var tokens: TokenSet?
        var userInfo: UserInfo?
        var createdAt: Date?
        var expiresAt: Date?
        var refreshedAt: Date?
        var issuer: String?
        var sid: String?
        var client: SessionClient?
        var attributes = SessionAttributes()
        var others: [JSONObject.Member] = []
        for member in fields.members {
            switch (member.name, member.value) {
            case ("issuer", .string(let text)) where (1...2048).contains(text.utf8.count): issuer = text
            case ("sid", .string(let text)) where (1...ProviderSession.maximumLength).contains(text.utf8.count):
                sid = text
            case ("client", .object(let object)) where SessionClient.isOurs(object): client = SessionClient(object)
            case ("attributes", .object(let object)): attributes = SessionAttributes(object)
            default: break
            }
            switch member.name {
            case "tokens": tokens = try self.tokens(from: member.value)
            case "user_info": userInfo = try UserInfo(claims: object(member))
            case "created_at": createdAt = try time(member)
            case "expires_at": expiresAt = try time(member)
            case "refreshed_at": refreshedAt = member.value == .null ? nil : try time(member)
            case "issuer" where issuer != nil, "sid" where sid != nil, "client" where client != nil: break
            case "attributes" where !attributes.isEmpty: break
            default: others.append(member)
            }
        }
        guard let tokens else { throw SessionRecordError("tokens is missing") }
        guard let userInfo else { throw SessionRecordError("user_info is missing") }
        guard let createdAt else { throw SessionRecordError("created_at is missing") }
        guard let expiresAt else { throw SessionRecordError("expires_at is missing") }
        let provider = ProviderNames(issuer: issuer, sid: sid, idToken: tokens.idToken)
        return Session(
            tokens: tokens, userInfo: userInfo, createdAt: createdAt, expiresAt: expiresAt, refreshedAt: refreshedAt,
            issuer: provider.issuer, providerSessionID: provider.sid, client: client, attributes: attributes,
            otherFields: JSONObject(distinct: others))
    }

    private static func tokens(from value: JSONValue) throws(SessionRecordError) -> TokenSet {
        guard let fields = value.object else { throw SessionRecordError("tokens is not an object") }
        var tokens = TokenSet(accessToken: "")
        var hasAccessToken = false
        var others: [JSONObject.Member] = []
        for member in fields.members {
            switch member.name {
            case "access_token":
                guard let text = member.value.string else { throw wrongType(member) }
                tokens.accessToken = text
                hasAccessToken = true
            case "refresh_token": tokens.refreshToken = try text(member)
            case "id_token": tokens.idToken = try text(member)
            case "expires_in": tokens.expiresIn = try seconds(member)
            case "refresh_expires_in": tokens.refreshExpiresIn = try seconds(member)
            default: others.append(member)
            }
        }
        guard hasAccessToken else { throw SessionRecordError("access_token is missing") }
        tokens.otherFields = JSONObject(distinct: others)
        return tokens
    }

    private static func tokensObject(_ tokens: TokenSet) -> JSONObject {
        var members: [JSONObject.Member] = [
            .init(name: "access_token", value: .string(tokens.accessToken)),
            .init(name: "refresh_token", value: tokens.refreshToken.map { .string($0) } ?? .null),
            .init(name: "id_token", value: tokens.idToken.map { .string($0) } ?? .null),
            .init(name: "expires_in", value: tokens.expiresIn.map { .number(String($0)) } ?? .null),
            .init(name: "refresh_expires_in", value: tokens.refreshExpiresIn.map { .number(String($0)) } ?? .null),
        ]
        members.append(contentsOf: tokens.otherFields.members.filter { !ownTokenMembers.contains($0.name) })
        return JSONObject(distinct: members)
    }

    private static func writeTime(_ name: String, _ date: Date, to out: inout [UInt8]) {
        out.append(contentsOf: ",\"\(name)\":\"\(Timestamp.format(date))\"".utf8)
    }

    private static func wrongType(_ member: JSONObject.Member) -> SessionRecordError {
        SessionRecordError("\(member.name) has the wrong type")
    }

    private static func object(_ member: JSONObject.Member) throws(SessionRecordError) -> JSONObject {
        guard let object = member.value.object else { throw wrongType(member) }
        return object
    }

    private static func text(_ member: JSONObject.Member) throws(SessionRecordError) -> String? {
        if member.value == .null { return nil }
        guard let text = member.value.string else { throw wrongType(member) }
        return text
    }

    private static func seconds(_ member: JSONObject.Member) throws(SessionRecordError) -> Int? {
        if member.value == .null { return nil }
        guard let seconds = member.value.integer else { throw wrongType(member) }
        return seconds
    }

    private static func time(_ member: JSONObject.Member) throws(SessionRecordError) -> Date {
        guard let text = member.value.string else { throw wrongType(member) }
        guard let date = Timestamp.parse(text) else { throw SessionRecordError("\(member.name) is not a time") }
        return date
    }
}
