import CloakroomOIDC
import Foundation
import Testing

@testable import CloakroomGateway

/// What the app shows the provider in place of a secret.
@Suite struct ClientSettingsTests {
    /// Lends a directory with these files.
    private func withFiles(_ files: [String: String], _ body: (URL) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        for (name, text) in files {
            try text.write(to: directory.appendingPathComponent(name), atomically: true, encoding: .utf8)
        }
        try await body(directory)
    }

    private func load(_ changes: [String: String], in directory: URL) async throws -> GatewaySettings {
        var environment = ["OIDC_ISSUER": "https://id.example.com", "OIDC_CLIENT_ID": "web"]
        for (name, value) in changes {
            environment[name] =
                value.hasPrefix("@")
                ? directory.appendingPathComponent(String(value.dropFirst())).path : value
        }
        return try await GatewaySettings.load(environment: environment)
    }

    private static let token = "e30.e30.c2ln"

    private static func files() throws -> [String: String] {
        [
            "key": try ClientKey.generate(.es256).pem, "token": token + "\n", "secret": "shh\n",
            "nonsense": "-----BEGIN nothing", "empty": "", "certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n",
        ]
    }

    @Test("The way to authenticate follows from what is given")
    func methods() async throws {
        try await withFiles(try Self.files()) { directory in
            let cases: [([String: String], OIDCConfiguration.ClientAuthentication)] = [
                ([:], .none), (["OIDC_CLIENT_SECRET": "shh"], .basic), (["OIDC_CLIENT_SECRET_FILE": "@secret"], .basic),
                (["OIDC_CLIENT_SECRET": "shh", "OIDC_CLIENT_AUTH": "post"], .post),
                (["OIDC_CLIENT_KEY_FILE": "@key"], .privateKeyJWT),
                (["OIDC_CLIENT_KEY_FILE": "@key", "OIDC_CLIENT_AUTH": "PRIVATE_KEY_JWT"], .privateKeyJWT),
                (["OIDC_CLIENT_ASSERTION_FILE": "@token"], .assertion),
            ]
            for (changes, method) in cases {
                let settings = try await load(changes, in: directory)
                #expect(settings.effectiveClientAuth == method)
                let shown = settings.effectiveSettings.first { $0.name == "OIDC_CLIENT_AUTH" }
                #expect(shown?.value == method.rawValue)
            }
            let settings = try await load(
                ["OIDC_CLIENT_KEY_FILE": "@key", "OIDC_PAR": "on", "OIDC_CLIENT_ASSERTION_AUDIENCE": "issuer"],
                in: directory)
            let credentials = ClientCredentials(try settings.clientProof.read())
            let configuration = settings.oidcConfiguration("https://app.example.com", credentials)
            #expect(configuration.pushedAuthorization == .on && configuration.assertionAudience == .issuer)
            #expect(configuration.clientAuthentication == .privateKeyJWT)
            #expect(configuration.credentials?.current.keys.count == 1)
            let private_ = settings.secretOrigins.map(\.name)
            #expect(private_ == ["OIDC_CLIENT_KEY_FILE"])
            let assertion = try await load(["OIDC_CLIENT_ASSERTION_FILE": "@token"], in: directory)
            #expect(try assertion.clientProof.read().assertion == Self.token)
        }
    }

    @Test("What is missing, superfluous or unreadable is one clear line")
    func refusals() async throws {
        try await withFiles(try Self.files()) { directory in
            let cases: [([String: String], String, String)] = [
                (["OIDC_CLIENT_AUTH": "private_key_jwt"], "OIDC_CLIENT_AUTH", "with OIDC_CLIENT_KEY_FILE"),
                (["OIDC_CLIENT_AUTH": "assertion"], "OIDC_CLIENT_AUTH", "OIDC_CLIENT_ASSERTION_FILE"),
                (["OIDC_CLIENT_AUTH": "tls"], "OIDC_CLIENT_AUTH", "OIDC_CLIENT_CERT_KEY_FILE"),
                (["OIDC_CLIENT_AUTH": "none", "OIDC_CLIENT_SECRET": "shh"], "OIDC_CLIENT_AUTH", "would not be used"),
                (
                    ["OIDC_CLIENT_AUTH": "basic", "OIDC_CLIENT_SECRET": "shh", "OIDC_CLIENT_KEY_FILE": "@key"],
                    "OIDC_CLIENT_AUTH", "OIDC_CLIENT_KEY_FILE is given"
                ),
                (
                    ["OIDC_CLIENT_SECRET": "shh", "OIDC_CLIENT_KEY_FILE": "@key"], "OIDC_CLIENT_KEY_FILE",
                    "are both given"
                ),
                (["OIDC_CLIENT_KEY_FILE": "@nonsense"], "OIDC_CLIENT_KEY_FILE", "no private key"),
                (["OIDC_CLIENT_KEY_FILE": "@missing"], "OIDC_CLIENT_KEY_FILE", "PEM"),
                (["OIDC_CLIENT_ASSERTION_FILE": "@missing"], "OIDC_CLIENT_ASSERTION_FILE", "does not exist"),
                (["OIDC_CLIENT_ASSERTION_FILE": "@empty"], "OIDC_CLIENT_ASSERTION_FILE", "is empty"),
                (["OIDC_CLIENT_ASSERTION_FILE": "@secret"], "OIDC_CLIENT_ASSERTION_FILE", "signed JWT"),
                (["OIDC_CLIENT_ASSERTION_FILE": "/dev/zero"], "OIDC_CLIENT_ASSERTION_FILE", "not a regular file"),
                (["OIDC_CLIENT_CERT_KEY_FILE": "@key"], "OIDC_CLIENT_CERT_FILE", "is missing"),
                (["OIDC_CLIENT_CERT_FILE": "@certificate"], "OIDC_CLIENT_CERT_KEY_FILE", "is missing"),
                (
                    ["OIDC_CLIENT_CERT_FILE": "@certificate", "OIDC_CLIENT_CERT_KEY_FILE": "@key"],
                    "OIDC_CLIENT_CERT_FILE", "no certificate"
                ),
                (["OIDC_CA_FILE": "@certificate"], "OIDC_CA_FILE", "certificates in PEM"),
                (["OIDC_PAR": "maybe"], "OIDC_PAR", "auto, on or off"),
                (
                    ["OIDC_CLIENT_ASSERTION_AUDIENCE": "me"], "OIDC_CLIENT_ASSERTION_AUDIENCE",
                    "token_endpoint or issuer"
                ),
            ]
            for (changes, setting, words) in cases {
                let error = await #expect(throws: SettingsError.self) { try await load(changes, in: directory) }
                let line = error?.description ?? ""
                #expect(line.hasPrefix(setting + " ") && line.contains(words), "\(changes): \(line)")
                #expect(!line.contains { $0.isNewline } && !line.contains("shh"))
            }
        }
    }

    @Test("R54: a secret is read from its file as it stands there now")
    func secretFile() async throws {
        try await withFiles(["secret": "first\n"]) { directory in
            let settings = try await load(["OIDC_CLIENT_SECRET_FILE": "@secret"], in: directory)
            #expect(settings.clientProof.files == [directory.appendingPathComponent("secret").path])
            #expect(try settings.clientProof.read().secret == "first")
            try "second\n".write(
                to: directory.appendingPathComponent("secret"), atomically: true, encoding: .utf8)
            #expect(try settings.clientProof.read().secret == "second")
            try FileManager.default.removeItem(at: directory.appendingPathComponent("secret"))
            let error = #expect(throws: SettingsError.self) { try settings.clientProof.read() }
            #expect(error?.setting == "OIDC_CLIENT_SECRET_FILE")
        }
    }
}
