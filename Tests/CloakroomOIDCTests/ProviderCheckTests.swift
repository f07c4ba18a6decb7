import Cloakroom
import Foundation
import Testing

@testable import CloakroomOIDC

@Suite struct ProviderCheckTests {
    private static let configuration = OIDCConfiguration(
        issuer: "https://id.example.com", clientID: "web", clientSecret: "top-secret-word",
        redirectURI: "https://app.example.com/auth/callback")

    @Test(
        "The answer to a login that must show no page tells whether the redirect URI is known",
        arguments: [
            (303, "https://app.example.com/auth/callback?error=login_required&state=x", .ok, "knows"),
            (302, "https://app.example.com/auth/callback?state=x&error=invalid_scope", .fail, "invalid_scope"),
            (302, "https://app.example.com/auth/callback?error=unauthorized_client", .fail, "unauthorized_client"),
            (302, "https://app.example.com/auth/callback?error=%1B%5B2J", .fail, "unknown error"),
            (302, "https://id.example.com/login?x=y", .unknown, "page of its own"),
            (302, "https://app.example.com/auth/callback.evil?error=login_required", .unknown, "page of its own"),
            (400, nil, .fail, "refuses"), (403, nil, .fail, "refuses"), (200, nil, .unknown, "can't be told"),
            (503, nil, .unknown, "503"),
        ] as [(Int, String?, ProviderHealth.Status, String)])
    func redirect(status: Int, location: String?, expected: ProviderHealth.Status, words: String) {
        let item = ProviderCheck.redirect(status: status, location: location, Self.configuration)
        #expect(item.status == expected && item.detail.contains(words), "\(item)")
        #expect(item.status != .fail || item.remedy != nil)
    }

    @Test(
        "What the token endpoint says of a code that does not exist tells whether it knows the client",
        arguments: [
            (.invalidGrant, .ok), (.clientRejected, .fail), (.providerUnavailable, .fail), (.invalidResponse, .unknown),
        ] as [(OIDCError.Code, ProviderHealth.Status)])
    func client(code: OIDCError.Code, expected: ProviderHealth.Status) {
        let item = ProviderCheck.client(OIDCError(code, reason: "it answered so"), Self.configuration)
        #expect(item.status == expected && !"\(item)".contains("top-secret-word"))
        #expect(item.status != .fail || item.remedy != nil)
    }

    @Test(
        "A clock that is off is a warning, and a failure where logins fail by it",
        arguments: [(0.4, .ok), (-5, .ok), (20, .warn), (-45, .warn), (61, .fail), (-4000, .fail)]
            as [(Double, ProviderHealth.Status)])
    func clock(skew: Double, expected: ProviderHealth.Status) {
        #expect(ProviderCheck.clock(skew: skew, allowed: 60).status == expected)
    }

    @Test("Dates are read as HTTP writes them")
    func dates() {
        #expect(ProviderCheck.date("Sun, 06 Nov 1994 08:49:37 GMT")?.timeIntervalSince1970 == 784_111_777)
        for text in ["", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT", "x x x x x GMT"] {
            #expect(ProviderCheck.date(text) == nil, "\(text)")
        }
    }
}
