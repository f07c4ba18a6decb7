import CloakroomHTTP
import CloakroomHummingbird
import Hummingbird
import NIOCore

/// What is known of a request: its session, and where it came from.
struct AppContext: SessionRequestContext {
    var coreContext: CoreRequestContextStorage
    let session = RequestSession()
    let clientAddress: String?

    init(source: Source) {
        coreContext = .init(source: source)
        clientAddress = source.channel.remoteAddress?.ipAddress
    }
}

/// The same behind a login, where `context.session` is there.
typealias UserContext = LoggedInContext<AppContext>
