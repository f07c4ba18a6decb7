/// Why the gateway can't run.
public enum GatewayError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The address to listen on can't be had.
    case cannotListen(host: String, port: Int, reason: String)

    public var description: String {
        switch self {
        case .cannotListen(let host, let port, let reason):
            "cannot listen on \(host):\(port): \(reason); choose another HOST or PORT"
        }
    }
}
