/// Tells which hosts are this machine.
package enum LoopbackHost {
    /// Whether a host of a URL is this machine itself: `localhost` and names below it (RFC 6761 §6.3), `127.0.0.0/8`, `::1`
    /// with brackets or without.
    package static func contains(_ host: some StringProtocol) -> Bool {
        let host = host.lowercased()
        return ["localhost", "::1", "[::1]"].contains(host) || host.hasSuffix(".localhost") || isIPv4(host)
    }

    /// Whether this is an address in `127.0.0.0/8` in its dotted form.
    package static func isIPv4(_ host: some StringProtocol) -> Bool {
        let octets = host.split(separator: ".", omittingEmptySubsequences: false)
        return octets.count == 4 && octets[0] == "127"
            && octets.allSatisfy { $0.utf8.allSatisfy { (0x30...0x39).contains($0) } && UInt8($0) != nil }
    }
}
