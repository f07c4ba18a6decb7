import struct Foundation.Date

/// What lists need of a session, as it is stored beside a sealed one.
///
/// ```json
/// {"v": 1, "sub", "name", "iss", "sid", "client", "created_at", "expires_at"}
/// ```
/// All but `v` and the times may be missing or `null`; members that are not known here are left alone.
enum SummaryRecord {
    private static let version = 1

    static func encode(_ session: Session) -> [UInt8] {
        var object: JSONObject = ["v": .number(String(version))]
        object["sub"] = session.userInfo.subject.map { .string($0) }
        object["name"] = session.userInfo.displayName.map { .string($0) }
        object["iss"] = session.issuer.map { .string($0) }
        object["sid"] = session.providerSessionID.map { .string($0) }
        if let client = session.client { object["client"] = .object(client.object) }
        object["created_at"] = .string(Timestamp.format(session.createdAt))
        object["expires_at"] = .string(Timestamp.format(session.expiresAt))
        return JSONValue.object(object).serialized
    }

    static func decode(
        _ raw: UnsafeRawBufferPointer, handle: SessionHandle, lastSeenAt: Date?
    ) throws(SessionRecordError) -> SessionSummary {
        let value: JSONValue
        do throws(JSONParsingError) {
            value = try JSONValue(parsing: raw)
        } catch {
            throw SessionRecordError("not JSON: \(error)")
        }
        guard let object = value.object else { throw SessionRecordError("not a JSON object") }
        guard object["v"]?.integer == version else { throw SessionRecordError("a summary of an unknown version") }
        guard let createdAt = (object["created_at"]?.string).flatMap(Timestamp.parse) else {
            throw SessionRecordError("created_at is not a time")
        }
        guard let expiresAt = (object["expires_at"]?.string).flatMap(Timestamp.parse) else {
            throw SessionRecordError("expires_at is not a time")
        }
        return SessionSummary(
            handle: handle, subject: object["sub"]?.string, userName: object["name"]?.string,
            issuer: object["iss"]?.string, providerSessionID: object["sid"]?.string,
            client: object["client"]?.object.map { SessionClient($0) }, createdAt: createdAt, expiresAt: expiresAt,
            lastSeenAt: lastSeenAt)
    }
}
