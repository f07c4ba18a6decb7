import Cloakroom

import struct Foundation.Date

/// Looks for tokens and the user in what another program keeps of a session: where they are is each program's own matter, but
/// what they are called is not.
struct TokenSearch {
    private static let maximumDepth = 8
    /// How many values are looked at.
    private static let maximumCount = 5000

    /// The tokens; `nil` if there is no access token.
    private(set) var tokens: TokenSet?
    /// When the access token ends, in seconds of the Unix time, if that is said.
    private(set) var accessTokenEnd: Double?
    /// The claims of the user, the first object with a `sub`.
    private(set) var claims: JSONObject?
    /// When the session began, if that is said.
    private(set) var began: Date?
    /// An ID token that stands elsewhere than the others.
    private var idToken: String?

    init(_ content: JSONObject) {
        // Level by level: what stands further out is more likely to be the session's own.
        var level = [content]
        var count = 0
        for _ in 0..<Self.maximumDepth where !level.isEmpty && count < Self.maximumCount {
            var next: [JSONObject] = []
            for object in level {
                count += object.members.count
                guard count < Self.maximumCount else { break }
                takeTokens(object)
                idToken = idToken ?? Self.token(object, "id_token", "idToken", "id_token_jwt")
                if claims == nil, object["sub"]?.string?.isEmpty == false, object["access_token"] == nil {
                    claims = object
                    // The name of a Java class.
                    claims?["@class"] = nil
                }
                for member in object.members { next += Self.objects(in: member.value) }
            }
            level = next
        }
        if tokens != nil, tokens?.idToken == nil { tokens?.idToken = idToken }
        if let time = Self.number(content["creationTime"]) {
            began = Date(timeIntervalSince1970: min(max(0, time / 1000), 253_402_300_799))
        }
    }

    private mutating func takeTokens(_ object: JSONObject) {
        guard tokens == nil, let access = Self.token(object, "access_token", "accessToken") else { return }
        tokens = TokenSet(
            accessToken: access, refreshToken: Self.token(object, "refresh_token", "refreshToken"),
            idToken: Self.token(object, "id_token", "idToken", "id_token_jwt"),
            expiresIn: Self.number(object["expires_in"] ?? object["expiresIn"]).flatMap { Int(exactly: $0.rounded()) },
            refreshExpiresIn: Self.number(object["refresh_expires_in"]).flatMap { Int(exactly: $0.rounded()) })
        let stated = object["expires_at"] ?? object["expiresAt"] ?? object["accessToken"]?.object?["expiresAt"]
        guard let end = Self.number(stated), end > 0, end < 1e15 else { return }
        // In milliseconds it would be after the year 5000 if it were seconds.
        accessTokenEnd = end > 1e11 ? end / 1000 : end
    }

    /// A token under one of these names: the text itself, or an object around it.
    private static func token(_ object: JSONObject, _ names: String...) -> String? {
        for name in names {
            guard let value = object[name] else { continue }
            let text = value.string ?? value.object?["tokenValue"]?.string ?? value.object?["token"]?.string
            if let text, !text.isEmpty { return text }
        }
        return nil
    }

    /// The objects right in a value; also those that are written as text.
    private static func objects(in value: JSONValue) -> [JSONObject] {
        switch value {
        case .object(let object): [object]
        // Jackson writes a value with its class as an array of both.
        case .array(let elements): elements.prefix(100).flatMap { $0.array == nil ? objects(in: $0) : [] }
        case .string(let text) where text.utf8.first == UInt8(ascii: "{"):
            (try? JSONValue(parsing: Array(text.utf8)).object).map { [$0] } ?? []
        default: []
        }
    }

    /// A number, also one that Jackson has written with its class.
    private static func number(_ value: JSONValue?) -> Double? {
        value?.double ?? value?.array?.last?.double ?? value?.string.flatMap { Double($0) }
    }
}
