import Cloakroom
import Foundation

/// Sessions as an identity provider such as Keycloak makes them: three JWTs signed with RS256, about 2.7 KB in all.
enum SampleSession {
    static func userInfo(_ number: Int, subject: String? = nil) -> UserInfo {
        UserInfo(
            subject: subject ?? "9f1c2c5e-7c1d-4b55-9d43-\(100_000_000_000 + number)",
            email: "user\(number)@example.com",
            name: "User Number \(number)", preferredUsername: "user\(number)")
    }

    static func tokens(_ number: Int) -> TokenSet {
        let common: [(String, String)] = [
            ("exp", "\(1_800_000_000 + number % 1000)"), ("iat", "\(1_799_999_700 + number % 1000)"),
            ("jti", "\"\(uuid(number, 1))\""), ("iss", "\"https://sso.example.com/realms/main\""),
            ("sub", "\"9f1c2c5e-7c1d-4b55-9d43-\(100_000_000_000 + number)\""), ("sid", "\"\(uuid(number, 2))\""),
        ]
        let access =
            common + [
                ("typ", "\"Bearer\""), ("azp", "\"web\""), ("aud", "\"account\""), ("acr", "\"1\""),
                ("realm_access", "{\"roles\":[\"offline_access\",\"user\"]}"), ("scope", "\"openid profile email\""),
                ("email_verified", "true"), ("name", "\"User Number \(number)\""),
                ("preferred_username", "\"user\(number)\""), ("email", "\"user\(number)@example.com\""),
            ]
        let identity =
            common + [
                ("typ", "\"ID\""), ("aud", "\"web\""), ("at_hash", "\"\(base64url(random(number, 3, 16)))\""),
                ("name", "\"User Number \(number)\""), ("preferred_username", "\"user\(number)\""),
            ]
        let refresh = common + [("typ", "\"Refresh\""), ("azp", "\"web\""), ("scope", "\"openid profile email\"")]
        return TokenSet(
            accessToken: jwt(access, number, 4), refreshToken: jwt(refresh, number, 5),
            idToken: jwt(identity, number, 6),
            expiresIn: 300, refreshExpiresIn: 1800)
    }

    private static func jwt(_ claims: [(String, String)], _ number: Int, _ salt: Int) -> String {
        let header = "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"Yx0p3cTgqz1mJ8b2VwR5nQ7dLk4uHs9aEfGiOjKlMnP\"}"
        let payload = "{" + claims.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}"
        return [Array(header.utf8), Array(payload.utf8), random(number, salt, 256)].map(base64url).joined(
            separator: ".")
    }

    private static func uuid(_ number: Int, _ salt: Int) -> String {
        let hex = random(number, salt, 16).map { String(format: "%02x", $0) }.joined()
        return
            "\(hex.prefix(8))-\(hex.dropFirst(8).prefix(4))-4\(hex.dropFirst(13).prefix(3))-8\(hex.dropFirst(17).prefix(3))-\(hex.suffix(12))"
    }

    /// The same bytes for the same number, and without pattern: nothing that could be packed.
    private static func random(_ number: Int, _ salt: Int, _ count: Int) -> [UInt8] {
        var state = UInt64(truncatingIfNeeded: number &* 1_000_003 &+ salt)
        return (0..<count).map { _ in
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return UInt8(truncatingIfNeeded: mixed ^ (mixed >> 31))
        }
    }

    private static func base64url(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
}
