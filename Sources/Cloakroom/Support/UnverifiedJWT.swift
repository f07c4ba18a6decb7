import struct Foundation.Date

/// The claims of a token that looks like a JWT (RFC 7519 §4), without any check of its signature: good only for tokens that
/// were checked before, never for deciding whom to trust.
func unverifiedJWTClaims(_ token: String) -> JSONObject? {
    // Bytes, as every login and every look at a token's end comes here.
    let dot = UInt8(ascii: ".")
    var token = token
    let payload = token.withUTF8 { bytes -> [UInt8]? in
        guard let first = bytes.firstIndex(of: dot), let second = bytes[(first + 1)...].firstIndex(of: dot),
            !bytes[(second + 1)...].contains(dot), second - first <= 16_384
        else { return nil }
        return Base64URL.decode(utf8: bytes[(first + 1)..<second])
    }
    return payload.flatMap { try? JSONValue(parsing: $0).object }
}

/// The `exp` of a token that looks like a JWT (RFC 7519 §4.1.4): for deciding when to refresh.
func unverifiedJWTExpiry(_ token: String) -> Date? {
    guard let expiry = unverifiedJWTClaims(token)?["exp"]?.double, expiry.isFinite,
        (0...253_402_300_799).contains(expiry)
    else { return nil }
    return Date(timeIntervalSince1970: expiry)
}
