import struct Foundation.Date

/// The claims of a token that looks like a JWT (RFC 7519 §4), without any check of its signature: good only for tokens that
/// were checked before, never for deciding whom to trust.
func unverifiedJWTClaims(_ token: String) -> JSONObject? {
    let parts = token.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false)
    guard parts.count == 3, parts[1].utf8.count <= 16_384, let payload = Base64URL.decode(parts[1]) else { return nil }
    return try? JSONValue(parsing: payload).object
}

/// The `exp` of a token that looks like a JWT (RFC 7519 §4.1.4): for deciding when to refresh.
func unverifiedJWTExpiry(_ token: String) -> Date? {
    guard let expiry = unverifiedJWTClaims(token)?["exp"]?.double, expiry.isFinite,
        (0...253_402_300_799).contains(expiry)
    else { return nil }
    return Date(timeIntervalSince1970: expiry)
}
