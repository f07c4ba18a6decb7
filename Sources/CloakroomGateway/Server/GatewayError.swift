/// Why the gateway can't run.
public struct GatewayError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The kinds of failure; more may come.
    public struct Code: Sendable, Hashable {
        private enum Kind { case cannotListen }
        private let kind: Kind

        /// The address to listen on can't be had.
        public static let cannotListen = Code(kind: .cannotListen)
    }

    /// The kind of failure.
    public let code: Code
    /// For people: what happened, and the remedy.
    public let description: String

    static func cannotListen(
        host: String, port: Int, reason: String, setting: String = "HOST or PORT"
    ) -> Self {
        GatewayError(
            code: .cannotListen,
            description:
                "cannot listen on \(host.contains(":") ? "[\(host)]" : host):\(port): \(reason); choose another \(setting)"
        )
    }
}
