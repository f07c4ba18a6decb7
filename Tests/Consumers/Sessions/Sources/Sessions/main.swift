import Cloakroom
import CloakroomHTTP
import CloakroomRedis

// A session store, in memory and in Redis, and what HTTP means for it: nothing else is resolved.
let id = SessionID()
let url = try RedisURL("redis://localhost")
let cookie = PublicURL("https://app.example.com").map { CookieSettings(publicURL: $0).sessionName }
print(id, url, cookie ?? "")
