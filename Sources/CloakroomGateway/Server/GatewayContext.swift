import CloakroomHTTP
import Hummingbird
import Logging
import NIOCore

/// What the gateway knows of a request.
struct GatewayContext: InitializableFromSource, Sendable {
    let session = RequestSession()
    /// The name of the request in the log.
    let id: String
    let logger: Logger
    /// The address that the connection came from.
    let remoteAddress: String?

    private let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        var logger = source.logger
        id = Self.padded(logger[metadataKey: Self.requestIDKey].map { "\($0)" } ?? "")
        logger[metadataKey: Self.requestIDKey] = "\(id)"
        self.logger = logger
        channel = source.channel
        remoteAddress = source.channel.remoteAddress?.ipAddress
    }

    /// The connection that the request came on.
    func connection() async throws -> ClientConnection {
        try await channel.eventLoop.submit { [channel] in
            let handler = try channel.pipeline.syncOperations.handler(type: ClientConnectionHandler.self)
            guard let connection = handler.connection else { throw ChannelError.ioOnClosedChannel }
            return connection
        }.get()
    }

    /// Where Hummingbird keeps a request's ID.
    static let requestIDKey = "hb.request.id"

    /// A request ID with the leading zeros that Hummingbird leaves out, so that all have one length and are found alike.
    static func padded(_ id: String) -> String {
        String(repeating: "0", count: max(0, 32 - id.utf8.count)) + id
    }
}
