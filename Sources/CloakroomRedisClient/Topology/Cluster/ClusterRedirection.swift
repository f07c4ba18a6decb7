/// Where a node of a cluster says that a slot is: the text of `MOVED` and `ASK`.
struct ClusterRedirection: Equatable {
    /// From 0 to 16,383.
    let slot: Int
    /// `nil` for the host of the node that says so.
    let host: String?
    let port: Int

    /// Reads `MOVED 3999 127.0.0.1:6381`.
    ///
    /// - Returns: `nil` for anything else, a host that the node itself does not know (`?`) included.
    init?(message: String) {
        let words = message.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count >= 3, let slot = Self.number(words[1], in: 0..<HashSlot.count),
            let colon = words[2].lastIndex(of: ":"),
            let port = Self.number(words[2][words[2].index(after: colon)...], in: 1..<65_536)
        else { return nil }
        let host = words[2][..<colon]
        guard host.isEmpty || ServerAddress.isHost(host) else { return nil }
        self.slot = slot
        self.host = host.isEmpty ? nil : String(host)
        self.port = port
    }

    private static func number(_ text: Substring, in range: Range<Int>) -> Int? {
        guard text.utf8.count <= 5, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text) else {
            return nil
        }
        return range.contains(number) ? number : nil
    }

    /// The endpoint meant by a node that is here itself.
    func endpoint(saidBy node: RedisEndpoint) -> RedisEndpoint {
        if let host { return .tcp(host: host, port: port) }
        return ServerAddress.endpoint(port: port, besides: node)
    }
}
