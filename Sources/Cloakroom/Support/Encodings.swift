/// Base64url without padding (RFC 4648 §5).
package enum Base64URL {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    package static func encode(_ bytes: some Collection<UInt8>) -> String {
        if let text = bytes.withContiguousStorageIfAvailable({ encode(UnsafeRawBufferPointer($0)) }) { return text }
        return Array(bytes).withUnsafeBytes { encode($0) }
    }

    package static func encode(_ bytes: UnsafeRawBufferPointer) -> String {
        let length = (bytes.count * 4 + 2) / 3
        return String(unsafeUninitializedCapacity: length) { out in
            var pending: UInt32 = 0
            var bits: UInt32 = 0
            var index = 0
            alphabet.withUnsafeBufferPointer { alphabet in
                for byte in bytes {
                    pending = pending << 8 | UInt32(byte)
                    bits += 8
                    while bits >= 6 {
                        bits -= 6
                        out[index] = alphabet[Int(pending >> bits & 63)]
                        index += 1
                    }
                }
                if bits > 0 {
                    out[index] = alphabet[Int(pending << (6 - bits) & 63)]
                    index += 1
                }
            }
            return index
        }
    }

    /// Decodes base64url, with or without padding.
    ///
    /// - Returns: `nil` at any character outside the alphabet or an impossible length.
    package static func decode(_ text: some StringProtocol) -> [UInt8]? { decode(utf8: text.utf8) }

    /// Decodes base64url that is given as bytes of ASCII; see ``decode(_:)``.
    package static func decode(utf8 bytes: some Collection<UInt8>) -> [UInt8]? {
        let decoded = bytes.withContiguousStorageIfAvailable { decode($0) }
        if let decoded { return decoded }
        return Array(bytes).withUnsafeBufferPointer { decode($0) }
    }

    private static func decode(_ bytes: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        var isValid = true
        let out = [UInt8](unsafeUninitializedCapacity: bytes.count * 3 / 4 + 1) { out, count in
            var pending: UInt32 = 0
            var bits: UInt32 = 0
            var padding = 0
            for byte in bytes {
                let value = values[Int(byte)]
                if byte == UInt8(ascii: "=") {
                    padding += 1
                } else if padding == 0, value != invalid {
                    pending = (pending << 6 | UInt32(value)) & 0xFFFF
                    bits += 6
                    guard bits >= 8 else { continue }
                    bits -= 8
                    out[count] = UInt8(truncatingIfNeeded: pending >> bits)
                    count += 1
                } else {
                    isValid = false
                    return
                }
            }
            isValid = bits < 6 && padding <= 2
        }
        return isValid ? out : nil
    }

    private static let invalid: UInt8 = 0xFF
    /// What each byte stands for.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: invalid, count: 256)
        for (value, byte) in alphabet.enumerated() { values[Int(byte)] = UInt8(value) }
        return values
    }()
}

package enum Hex {
    private static let digits = Array("0123456789abcdef".utf8)

    package static func encode(_ bytes: some Sequence<UInt8>) -> String {
        var out = [UInt8]()
        for byte in bytes {
            out.append(digits[Int(byte >> 4)])
            out.append(digits[Int(byte & 15)])
        }
        return String(decoding: out, as: UTF8.self)
    }
}

/// Compares two secrets in a time that depends on their lengths alone.
package func constantTimeEquals(_ left: String, _ right: String) -> Bool {
    // Strings of Swift's own are contiguous, and so not copied; a bridged one is.
    let result = left.utf8.withContiguousStorageIfAvailable { left in
        right.utf8.withContiguousStorageIfAvailable { right in constantTimeEquals(left, right) }
    }
    if case .some(.some(let isEqual)) = result { return isEqual }
    return Array(left.utf8).withUnsafeBufferPointer { left in
        Array(right.utf8).withUnsafeBufferPointer { right in constantTimeEquals(left, right) }
    }
}

private func constantTimeEquals(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Bool {
    guard left.count == right.count else { return false }
    var difference: UInt8 = 0
    for index in left.indices { difference |= left[index] ^ right[index] }
    return difference == 0
}
