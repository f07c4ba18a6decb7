import Cloakroom

import struct Foundation.Date

/// A session of another program, as one of Cloakroom's.
struct ForeignSession: Sendable {
    let id: SessionID
    let session: Session
}

/// A key of another program's Redis, as a line of a file gives it:
/// `{"key": …, "value": …}`, or `value_base64` for bytes, or `hash` (`hash_base64`) for the fields of a hash; and `ttl` in
/// seconds or `pttl` in milliseconds.
///
/// - connect-redis: JSON with a `cookie`;
/// - Flask-Session: JSON or MessagePack; what was pickled is never read, as that could run code;
/// - Spring Session: a hash whose attributes are JSON; what Java serialized is not read.
struct ForeignEntry {
    /// Why a key is passed over.
    struct Skip: Error, Equatable {
        let reason: String
    }

    private let key: String
    /// What the session holds, as JSON.
    private let content: JSONObject
    /// What is left of the key's life, in seconds; `nil` if nobody said.
    private let life: Double?

    /// - Throws: ``Skip`` for a key that is no session or can't be read; a ``Failure`` for a line that is no such entry.
    init(_ line: JSONObject) throws {
        guard let key = line["key"]?.string else { throw Failure("key is missing") }
        self.key = key
        if let milliseconds = line["pttl"]?.double {
            life = milliseconds < 0 ? nil : milliseconds / 1000
        } else {
            life = line["ttl"]?.double.flatMap { $0 < 0 ? nil : $0 }
        }
        if let hash = line["hash"]?.object ?? line["hash_base64"]?.object {
            content = try Self.spring(key, hash, isBase64: line["hash"] == nil)
        } else if let value = line["value"] ?? line["value_base64"] {
            content = try Self.content(value, isBase64: line["value"] == nil)
        } else {
            throw Failure("value or hash is missing")
        }
    }

    // MARK: Forms

    private static func content(_ value: JSONValue, isBase64: Bool) throws -> JSONObject {
        if let object = value.object { return object }
        guard let text = value.string else { throw Skip(reason: "neither text nor an object") }
        guard let bytes = isBase64 ? Base64.decode(text) : Array(text.utf8) else {
            throw Failure("value_base64 is no base64")
        }
        // The first two bytes of Python's protocols 2 to 5. A map of no names is the first of them alone.
        if bytes.count > 1, bytes[0] == 0x80, (2...5).contains(bytes[1]) {
            throw Skip(reason: "pickled by Python, which is never read")
        }
        if bytes.starts(with: [0xAC, 0xED]) { throw Skip(reason: "serialized by Java, which is not read") }
        let value = (try? JSONValue(parsing: bytes)) ?? MessagePack.decode(bytes)
        guard let value else { throw Skip(reason: "neither JSON nor MessagePack") }
        guard let object = value.object else { throw Skip(reason: "no session: not an object") }
        return object
    }

    /// The attributes of a hash, and its times.
    private static func spring(_ key: String, _ hash: JSONObject, isBase64: Bool) throws -> JSONObject {
        // `…:sessions:expires:ID` and the sets of `…:expirations:` and `…:index:` stand beside the sessions.
        let parts = key.split(separator: ":")
        guard !parts.dropLast().contains("expires"), !parts.contains("expirations"), !parts.contains("index") else {
            throw Skip(reason: "no session, but kept beside one by Spring")
        }
        var content: JSONObject = [:]
        var isJava = false
        for member in hash.members {
            guard let text = member.value.string else { continue }
            guard let bytes = isBase64 ? Base64.decode(text) : Array(text.utf8) else {
                throw Failure("hash_base64 holds no base64")
            }
            if bytes.starts(with: [0xAC, 0xED]) {
                isJava = true
            } else if let value = try? JSONValue(parsing: bytes) {
                content[member.name.hasPrefix("sessionAttr:") ? String(member.name.dropFirst(12)) : member.name] = value
            }
        }
        if isJava, TokenSearch(content).tokens == nil { throw Skip(reason: "serialized by Java, which is not read") }
        return content
    }

    // MARK: As a session

    /// - Parameter lifetime: how long a session may live at most, from now on.
    /// - Throws: ``Skip``
    func session(at now: Date, lifetime: Duration) throws -> ForeignSession {
        guard let id = SessionID(key.split(separator: ":").last ?? "") else {
            throw Skip(reason: "its ID is not one that a session can have")
        }
        let search = TokenSearch(content)
        guard let found = search.tokens else { throw Skip(reason: "no tokens in it: nobody is logged in") }
        let end = min(self.end(at: now) ?? .distantFuture, now.addingTimeInterval(lifetime / .seconds(1)))
        var tokens = found
        // When the tokens were issued is not known: a lifetime in seconds can't be counted from then.
        if let ends = search.accessTokenEnd {
            tokens.expiresIn = max(0, Int(min(ends - now.timeIntervalSince1970, 1e9)))
        } else if tokens.refreshToken != nil {
            tokens.expiresIn = 0
        }
        let claims = search.claims ?? found.idToken.flatMap(Self.claims) ?? [:]
        let issuer = found.idToken.flatMap(Self.payload)?["iss"]?.string
        let sid = found.idToken.flatMap(Self.payload)?["sid"]?.string
        return ForeignSession(
            id: id,
            session: Session(
                tokens: tokens, userInfo: UserInfo(claims: claims), createdAt: min(search.began ?? now, now),
                expiresAt: end, refreshedAt: now, issuer: issuer, providerSessionID: sid))
    }

    /// When the session ends, as the key's life and the cookie say.
    private func end(at now: Date) -> Date? {
        let byKey = life.map { now.addingTimeInterval($0) }
        let cookie = content["cookie"]?.object
        let byCookie = (cookie?["expires"]?.string).flatMap { Timestamp.parse($0) }
        return [byKey, byCookie].compactMap { $0 }.min()
    }

    private static func payload(_ token: String) -> JSONObject? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[1].utf8.count <= 16_384 else { return nil }
        return Base64URL.decode(parts[1]).flatMap { try? JSONValue(parsing: $0).object }
    }

    /// What an ID token says of the user, without what it says of itself.
    private static func claims(_ token: String) -> JSONObject? {
        guard let payload = payload(token), payload["sub"]?.string != nil else { return nil }
        let ofToken: Set = [
            "iss", "aud", "exp", "iat", "nbf", "jti", "nonce", "azp", "auth_time", "at_hash", "c_hash", "s_hash", "acr",
            "amr", "sid", "typ", "session_state",
        ]
        return JSONObject(payload.members.filter { !ofToken.contains($0.name) }.map { ($0.name, $0.value) })
    }
}
