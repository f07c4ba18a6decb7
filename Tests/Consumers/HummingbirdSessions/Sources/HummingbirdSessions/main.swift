import Cloakroom
import CloakroomHTTP
import CloakroomHummingbird

// Sessions in a Hummingbird app that logs users in by other means: no HTTP client, no OpenID Connect.
print(PlainErrorPages().self, SecurityFields.defaultPolicy)
