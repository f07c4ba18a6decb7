import CloakroomHummingbird
import Hummingbird
import Logging
import NIOCore

/// What the gateway knows of a request.
struct GatewayContext: SessionRequestContext {
    var coreContext: CoreRequestContextStorage
    let session = RequestSession()
    /// The address that the connection came from.
    let remoteAddress: String?
    var clientAddress: String? { remoteAddress }

    private let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
        remoteAddress = source.channel.remoteAddress?.ipAddress
        if let id = logger[metadataKey: Self.requestIDKey] {
            logger[metadataKey: Self.requestIDKey] = "\(Self.padded("\(id)"))"
        }
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
