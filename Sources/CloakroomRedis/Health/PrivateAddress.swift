import NIOCore

/// Which addresses the world can't reach.
package enum PrivateAddress {
    /// Whether an address is of this machine or of a private network (RFC 1918, 6598, 3927, 4193, 4291).
    static func contains(_ address: SocketAddress) -> Bool {
        let bytes = bytes(of: address)
        switch bytes.count {
        case 4: return contains(v4: bytes)
        case 16:
            let isMapped = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
            if isMapped { return contains(v4: Array(bytes[12...])) }
            return isLoopback(address) || bytes[0] & 0xFE == 0xFC || bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80
        default: return true  // A socket of this machine.
        }
    }

    /// The same of a text, an IPv6 address with brackets or without; `false` for what is no address.
    package static func contains(_ text: String) -> Bool {
        let bare = text.hasPrefix("[") && text.hasSuffix("]") ? String(text.dropFirst().dropLast()) : text
        return (try? SocketAddress(ipAddress: bare, port: 0)).map { contains($0) } ?? false
    }

    static func isLoopback(_ address: SocketAddress) -> Bool {
        let bytes = bytes(of: address)
        return switch bytes.count {
        case 4: bytes[0] == 127
        case 16: bytes[..<15].allSatisfy { $0 == 0 } && bytes[15] == 1
        default: true
        }
    }

    private static func contains(v4 bytes: [UInt8]) -> Bool {
        switch (bytes[0], bytes[1]) {
        case (10, _), (127, _), (192, 168), (169, 254): true
        case (172, 16...31), (100, 64...127): true
        default: false
        }
    }

    /// The 4 or 16 bytes of an IP address, where `sockaddr_in` and `sockaddr_in6` have them; none of a socket's path.
    private static func bytes(of address: SocketAddress) -> [UInt8] {
        address.withSockAddr { pointer, size in
            let raw = UnsafeRawBufferPointer(start: pointer, count: size)
            return switch address {
            case .v4: Array(raw[4..<8])
            case .v6: Array(raw[8..<24])
            case .unixDomainSocket: []
            }
        }
    }
}
