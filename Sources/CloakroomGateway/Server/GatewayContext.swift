import CloakroomHummingbird
import Hummingbird
import NIOCore

/// What the gateway knows of a request.
struct GatewayContext: SessionRequestContext {
    var coreContext: CoreRequestContextStorage
    let session = RequestSession()
    /// The address that the connection came from.
    let remoteAddress: String?

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        remoteAddress = source.channel.remoteAddress?.ipAddress
    }
}
