import struct Foundation.Date

/// Why stored bytes are no session. Names the member, never its content.
package struct SessionRecordError: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// The plain stored form of a session: one JSON object that other programs read and write, and so a frozen format.
///
/// ```json
/// {"tokens": {"access_token", "refresh_token", "id_token", "expires_in", "refresh_expires_in"},
///  "user_info": {"sub", "email", "name", "preferred_username", "given_name", "family_name", …},
///  "created_at": "2024-01-15T10:30:00", "expires_at": "2024-01-15T18:30:00"}
/// ```
/// `refreshed_at` is an addition of ours. All five members of `tokens` are always written, `null` where there is no
/// value; what Cloakroom does not know is kept and written back.
package enum PlainRecord {
    /// The largest record that is read or written, in bytes.
    package static let maximumSize = 1 << 20

    /// Levels of nesting that the record adds to what it holds; what a provider may say must be readable once stored.
    private static let depth = 2

    // Other members can't stand in for these: a reader would take the later of the two.
    private static let ownMembers: Set<String> = ["tokens", "user_info", "created_at", "expires_at", "refreshed_at"]
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
        for member in session.otherFields.members where !ownMembers.contains(member.name) {
            out.append(UInt8(ascii: ","))
            JSONValue.write(member.name, to: &out)
            out.append(UInt8(ascii: ":"))
            member.value.write(to: &out)
        }
        out.append(UInt8(ascii: "}"))
        return out
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
        var others: [JSONObject.Member] = []
        for member in fields.members {
            switch member.name {
            case "tokens": tokens = try self.tokens(from: member.value)
            case "user_info": userInfo = try UserInfo(claims: object(member))
            case "created_at": createdAt = try time(member)
            case "expires_at": expiresAt = try time(member)
            case "refreshed_at": refreshedAt = member.value == .null ? nil : try time(member)
            default: others.append(member)
            }
        }
        guard let tokens else { throw SessionRecordError("tokens is missing") }
        guard let userInfo else { throw SessionRecordError("user_info is missing") }
        guard let createdAt else { throw SessionRecordError("created_at is missing") }
        guard let expiresAt else { throw SessionRecordError("expires_at is missing") }
        return Session(
            tokens: tokens, userInfo: userInfo, createdAt: createdAt, expiresAt: expiresAt, refreshedAt: refreshedAt,
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
