import Cloakroom
import HTTPTypes

extension HTTPFields {
    /// The session ID that the cookie holds, if there is exactly one well-formed cookie.
    func sessionID(_ cookies: CookieSettings) -> SessionID? {
        guard case .value(let text) = cookie(named: cookies.sessionName) else { return nil }
        return SessionID(text)
    }
}
