import struct Foundation.Date

/// The `exp` of a token that looks like a JWT (RFC 7519 §4.1.4), without any check of its signature: good only for
/// deciding when to refresh, never for deciding whom to trust.
func unverifiedJWTExpiry(_ token: String) -> Date? {
    let parts = token.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false)
    guard parts.count == 3, parts[1].utf8.count <= 16_384, let payload = Base64URL.decode(parts[1]),
        let claims = try? JSONValue(parsing: payload).object, let expiry = claims["exp"]?.double,
        expiry.isFinite, (0...253_402_300_799).contains(expiry)
    else { return nil }
    return Date(timeIntervalSince1970: expiry)
}
