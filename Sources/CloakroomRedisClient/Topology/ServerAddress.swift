import NIOCore

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

extension RESPValue {
    /// The text of a string, simple or not, that is at most 512 bytes long.
    var shortText: String? {
        switch self {
        case .simpleString(let text): text.utf8.count <= 512 ? text : nil
        case .bulk(let bytes):
            bytes.readableBytes <= 512 ? String(validating: bytes.readableBytesView, as: UTF8.self) : nil
        default: nil
        }
    }

    /// A number, also one that is written as a string, as sentinels do.
    var integer: Int? {
        if case .number(let number) = self { return Int(exactly: number) }
        return shortText.flatMap { Int($0) }
    }

    /// The elements of an array or a set.
    var elements: [RESPValue]? {
        switch self {
        case .array(let elements), .set(let elements): elements
        default: nil
        }
    }

    /// What a map holds under this name; also of a map in the form of RESP2, an array of names and values in turn.
    func field(_ name: String) -> RESPValue? {
        let pairs: [RESPValue]
        switch self {
        case .map(let elements), .array(let elements): pairs = elements
        default: return nil
        }
        return stride(from: 0, to: pairs.count - 1, by: 2).first { pairs[$0].shortText == name }.map { pairs[$0 + 1] }
    }
}
