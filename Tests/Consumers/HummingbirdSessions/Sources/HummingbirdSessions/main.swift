import Cloakroom
import CloakroomHTTP
import CloakroomHummingbird
import CloakroomHummingbirdRedis
import Hummingbird

// Sessions in a Hummingbird app that logs users in by other means: no HTTP client, no OpenID Connect.
struct AppContext: SessionRequestContext {
    var coreContext: CoreRequestContextStorage
    let session = RequestSession()
    init(source: Source) { coreContext = .init(source: source) }
}

print(PlainErrorPages().self, SecurityFields.defaultPolicy, AuthPaths(under: "/account")[.login])
print(RequireSession<AppContext>.self, LoggedInContext<AppContext>.self, RedisPersistDriver.self)
