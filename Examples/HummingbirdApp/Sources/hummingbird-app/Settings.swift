import CloakroomHTTP
import CloakroomRedis

/// What the environment says.
struct Settings {
    let port: Int
    let publicURL: PublicURL
    let issuer: String
    let clientID: String
    let clientSecret: String?
    /// `nil`: sessions are in memory, and end with the program.
    let redisURL: RedisURL?

    init(_ environment: [String: String]) throws(SettingsError) {
        func required(_ name: String) throws(SettingsError) -> String {
            guard let value = environment[name], !value.isEmpty else { throw SettingsError("set \(name)") }
            return value
        }
        guard let port = Int(environment["PORT"] ?? "8080"), (1...65_535).contains(port) else {
            throw SettingsError("PORT must be a number from 1 to 65535")
        }
        guard let publicURL = PublicURL(environment["PUBLIC_URL"] ?? "http://localhost:\(port)") else {
            throw SettingsError("PUBLIC_URL must be https://HOST, or http:// on this machine")
        }
        self.port = port
        self.publicURL = publicURL
        issuer = try required("OIDC_ISSUER")
        clientID = try required("OIDC_CLIENT_ID")
        clientSecret = environment["OIDC_CLIENT_SECRET"]
        do {
            redisURL = try environment["REDIS_URL"].map { try RedisURL($0) }
        } catch {
            throw SettingsError("REDIS_URL is not one: \(error)")
        }
    }
}

struct SettingsError: Error {
    let reason: String
    init(_ reason: String) { self.reason = reason }
}
