import struct Foundation.Date

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The claims of a token that looks like a JWT (RFC 7519 §4), without any check of its signature: good only for tokens that
/// were checked before, never for deciding whom to trust.
func unverifiedJWTClaims(_ token: String) -> JSONObject? {
    // Bytes, as every login and every look at a token's end comes here.
    var token = token
    let payload = token.withUTF8 { bytes -> [UInt8]? in
        guard let first = indexOfDot(in: bytes, from: 0), let second = indexOfDot(in: bytes, from: first + 1),
            second - first <= 16_384, indexOfDot(in: bytes, from: second + 1) == nil
        else { return nil }
        return Base64URL.decode(utf8: bytes[(first + 1)..<second])
    }
    return payload.flatMap { try? JSONValue(parsing: $0).object }
}

/// By the system's search, which is many times as fast as a loop: tokens have some kilobytes.
private func indexOfDot(in bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int? {
    guard start < bytes.count, let base = bytes.baseAddress,
        let found = memchr(base + start, Int32(UInt8(ascii: ".")), bytes.count - start)
    else { return nil }
    return UnsafeRawPointer(found) - UnsafeRawPointer(base)
}

/// The `exp` of a token that looks like a JWT (RFC 7519 §4.1.4): for deciding when to refresh.
func unverifiedJWTExpiry(_ token: String) -> Date? {
    guard let expiry = unverifiedJWTClaims(token)?["exp"]?.double, expiry.isFinite,
        (0...253_402_300_799).contains(expiry)
    else { return nil }
    return Date(timeIntervalSince1970: expiry)
}
