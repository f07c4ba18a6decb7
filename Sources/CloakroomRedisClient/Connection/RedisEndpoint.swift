/// Where one server listens.
public enum RedisEndpoint: Sendable, Hashable {
    /// A name or an address without brackets, and a port.
    case tcp(host: String, port: Int)
    /// The path of a Unix domain socket.
    case unix(path: String)
}

extension RedisEndpoint: CustomStringConvertible {
    /// `host:port`, an IPv6 address in brackets, or the path.
    public var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): path
        }
    }
}
