import Cloakroom

/// An address that only this machine can reach.
struct LoopbackAddress: Sendable {
    /// What to bind; always a literal, so that no name service decides where we listen.
    let bindHost: String

    /// - Throws: ``StartError`` for anything but 127.0.0.0/8 in dotted form, `::1` and `localhost`.
    init(host: String) throws {
        if host == "localhost" {
            bindHost = "127.0.0.1"
        } else if host == "::1" || LoopbackHost.isIPv4(host) {
            bindHost = host
        } else {
            throw StartError(
                description: """
                    The development identity provider refuses to listen on '\(host.prefix(100))': its passwords are \
                    public. Use 127.0.0.1, ::1 or localhost.
                    """)
        }
    }
}
