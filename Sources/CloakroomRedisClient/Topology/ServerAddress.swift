/// Addresses of servers as other servers tell them: to be checked before anything is connected to.
enum ServerAddress {
    /// Whether a text can be a host's name or address: printable ASCII of a bounded length. `?` is what a node says that does
    /// not know.
    static func isHost(_ text: some StringProtocol) -> Bool {
        (1...255).contains(text.utf8.count) && text != "?"
            && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && !"/@,[]\"'\\".utf8.contains($0) }
    }

    /// An endpoint from what was told; `nil` if that is none.
    static func endpoint(host: String?, port: Int?) -> RedisEndpoint? {
        guard let host, isHost(host), let port, (1...65_535).contains(port) else { return nil }
        return .tcp(host: host, port: port)
    }

    /// Another port of the host where `node` is.
    static func endpoint(port: Int, besides node: RedisEndpoint) -> RedisEndpoint {
        switch node {
        case .tcp(let host, _): .tcp(host: host, port: port)
        case .unix: .tcp(host: "127.0.0.1", port: port)
        }
    }
}
