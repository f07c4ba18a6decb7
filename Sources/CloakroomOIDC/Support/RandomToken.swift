import Cloakroom

/// 256 bits from the system's cryptographically secure random numbers, as 43 characters of base64url.
func randomToken() -> String {
    var generator = SystemRandomNumberGenerator()
    var bytes = [UInt8]()
    bytes.reserveCapacity(32)
    for _ in 0..<4 {
        withUnsafeBytes(of: generator.next()) { bytes.append(contentsOf: $0) }
    }
    return Base64URL.encode(bytes)
}
