/// An address that only this machine can reach.
struct LoopbackAddress: Sendable {
    /// What to bind; always a literal, so that no name service decides where we listen.
    let bindHost: String

    /// - Throws: ``StartError`` for anything but 127.0.0.0/8 in dotted form, `::1` and `localhost`.
    init(host: String) throws {
        if host == "localhost" {
            bindHost = "127.0.0.1"
        } else if host == "::1" || Self.isLoopbackIPv4(host) {
            bindHost = host
        } else {
            throw StartError(
                description: """
                    The development identity provider refuses to listen on '\(host.prefix(100))': its passwords are \
                    public. Use 127.0.0.1, ::1 or localhost.
                    """)
        }
    }

    private static func isLoopbackIPv4(_ host: String) -> Bool {
        let octets = host.split(separator: ".", omittingEmptySubsequences: false)
        return octets.count == 4 && octets[0] == "127"
            && octets.allSatisfy { $0.utf8.allSatisfy { (0x30...0x39).contains($0) } && UInt8($0) != nil }
    }
}
