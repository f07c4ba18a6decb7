import Cloakroom
import CloakroomHTTP
import CloakroomOIDC

// Login for any framework: an HTTP client, and no server.
print(AuthEndpoint.allCases.map(\.path), RelyingParty.httpClientConfiguration().redirectConfiguration)
