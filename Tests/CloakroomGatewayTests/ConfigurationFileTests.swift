import Cloakroom
import Foundation
import Logging
import Testing

@testable import CloakroomGateway

@Suite struct ConfigurationFileTests {
    private static let required = ["OIDC_ISSUER": "https://id.example.com/realms/main", "OIDC_CLIENT_ID": "app"]
    private let directory = FileManager.default.temporaryDirectory.appending(path: "cloakroom-\(UUID().uuidString)")

    @discardableResult
    private func write(_ text: String, _ name: String = "cloakroom.yaml", mode: Int = 0o600) throws -> String {
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let path = directory.appending(path: name).path
        try Data(text.utf8).write(to: URL(filePath: path))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        return path
    }

    private func load(
        _ yaml: String?, environment: [String: String] = [:], file: String = "", flags: [String: String] = [:]
    ) async throws -> GatewaySettings {
        defer { try? FileManager.default.removeItem(at: directory) }
        let path = try yaml.map { try write($0) }
        let environmentFile = try write(file, "settings.env")
        return try await GatewaySettings.load(
            flags: flags, environment: Self.required.merging(environment) { $1 }, environmentFile: environmentFile,
            configurationFile: path)
    }

    private func failure(_ yaml: String?, environment: [String: String] = [:]) async throws -> String {
        let error = await #expect(throws: SettingsError.self) { try await load(yaml, environment: environment) }
        let line = try #require(error).description
        #expect(!line.contains { $0.isNewline })
        return line
    }

    @Test("a file has each setting under its name in lower case; lists may be lists")
    func everyForm() async throws {
        let settings = try await load(
            """
            # comment
            host: 0.0.0.0
            port: 9000
            redis_enabled: true
            session_timeout: 1h30m
            session_idle_timeout: off
            session_near_cache: on
            session_max_per_user: 5
            oidc_scopes: [openid, email]
            public_url:
            upstream_url: ""
            log_level: "debug"
            """)
        #expect(settings.host == "0.0.0.0" && settings.port == 9000 && settings.redisEnabled)
        #expect(settings.sessionTimeout == .seconds(5400) && settings.sessionIdleTimeout == nil)
        #expect(settings.nearCache.isOn && settings.sessionMaximumPerUser == 5)
        #expect(settings.oidcScopes == ["openid", "email"])
        #expect(settings.publicURL == nil && settings.upstreamURL == nil && settings.logLevel == .debug)
        for empty in ["", "\n# nothing\n", "---\n", "~"] { #expect(try await load(empty).port == 8020) }
    }

    @Test("the file yields to .env, that to the environment, that to flags; check tells which counts and which do not")
    func rank() async throws {
        let settings = try await load(
            "port: 1\nhost: 10.0.0.1\nlog_format: json\nredis_key_prefix: 'a:'\n",
            environment: ["PORT": "3", "HOST": "10.0.0.3"], file: "PORT=2\nHOST=10.0.0.2\nLOG_FORMAT=text\n",
            flags: ["PORT": "4"])
        #expect(settings.port == 4 && settings.host == "10.0.0.3" && settings.logFormat == .text)
        #expect(settings.redisKeyPrefix == "a:")
        func shown(_ name: String) -> EffectiveSetting? { settings.effectiveSettings.first { $0.name == name } }
        let yaml = directory.appending(path: "cloakroom.yaml").path
        let file = directory.appending(path: "settings.env").path
        #expect(shown("PORT")?.source == "flag")
        #expect(shown("PORT")?.overridden == ["environment", file, "\(yaml), line 1"])
        #expect(shown("REDIS_KEY_PREFIX")?.source == "\(yaml), line 4" && shown("REDIS_KEY_PREFIX")?.overridden == [])
        #expect(shown("SESSION_TIMEOUT")?.source == nil)
    }

    @Test(
        "what is wrong in a file is told in one line, with the line of the file and what would be right",
        arguments: [
            ("port: 1\nredis_ulr: x\n", ["line 2", "redis_ulr", "did you mean redis_url?"]),
            ("REDIS_URL: x\n", ["line 1", "did you mean redis_url?"]), ("zebra: 1\n", ["line 1", "unknown setting"]),
            ("port: eight\n", ["PORT is \"eight\"", "0 to 65535", "line 1"]),
            ("host: a\nport: [1]\n", ["line 2", "port is a list", "a number"]),
            ("port: {a: 1}\n", ["line 1", "port is a mapping"]),
            ("oidc_scopes: [openid, [email]]\n", ["line 1", "list of texts"]),
            ("- port\n", ["line 1", "name: value"]), ("port\n", ["name: value"]),
            ("port: 1\nport: 2\n", ["there twice", "port"]),
            ("port:\t1\n\thost: a\n", ["line"]), ("port: \"1\n", ["line"]), ("port: *none\n", ["line"]),
            ("a: &a [*a]\n", ["CLOAKROOM_CONFIG"]), ("port: 1\n---\nport: 2\n", ["CLOAKROOM_CONFIG"]),
            ("? [a]\n: 1\n", ["a name is not text"]), (String(repeating: "[", count: 100_000), ["CLOAKROOM_CONFIG"]),
            (String(repeating: "{a: ", count: 50_000), ["CLOAKROOM_CONFIG"]),
        ])
    func wrong(yaml: String, parts: [String]) async throws {
        let line = try await failure(yaml)
        for part in parts { #expect(line.contains(part), "\(line)") }
        #expect(line.utf8.count < 600)
    }

    @Test("R46: an error in a file quotes nothing of it, as that may be a secret")
    func redaction() async throws {
        for yaml in [
            "oidc_client_secret: \"hunter2\n", "session_keys: hunter2\n", "redis_url: redis://:hunter2@h:x\n",
            "oidc_client_secret: [hunter2]\n", "oidc_client_secret: hunter2\n\thunter2", "redis_url: {hunter2: 1}\n",
        ] {
            #expect(try await !failure(yaml).contains("hunter2"), "\(yaml)")
        }
    }

    @Test("a file that is missing, a directory, too large, no text or a FIFO is told, and holds nobody up")
    func unfitFiles() async throws {
        defer { try? FileManager.default.removeItem(at: directory) }
        let empty = try write("", "settings.env")
        let fifo = directory.appending(path: "fifo").path
        #expect(mkfifo(fifo, 0o600) == 0)
        let large = directory.appending(path: "large").path
        try Data().write(to: URL(filePath: large))
        try FileHandle(forWritingTo: URL(filePath: large)).truncate(atOffset: 100 << 20)
        let binary = directory.appending(path: "binary").path
        try Data([0x70, 0xFF, 0xFE]).write(to: URL(filePath: binary))
        for (path, reason) in [
            ("/nowhere/cloakroom.yaml", "does not exist"), (directory.path, "not a regular file"),
            (fifo, "not a regular file"), (large, "has more than 256K bytes"), (binary, "UTF-8"),
        ] {
            for setting in ["CLOAKROOM_CONFIG", "OIDC_CLIENT_SECRET_FILE"] {
                let reason = setting == "CLOAKROOM_CONFIG" ? reason : reason.replacing("256K", with: "64K")
                let error = await #expect(throws: SettingsError.self) {
                    try await GatewaySettings.load(
                        environment: Self.required.merging([setting: path]) { $1 }, environmentFile: empty)
                }
                #expect(
                    error?.setting == setting && error?.reason.contains(reason) == true, "\(String(describing: error))")
            }
        }
    }

    @Test("each secret can be in a file of its own, which any source may name")
    func secretFiles() async throws {
        let key = SessionKeyring.generateKey()
        let settings = try await load(
            "oidc_client_secret_file: \(try write("s3cret \n", "secret"))\n",
            environment: [
                "SESSION_KEYS_FILE": try write("\(key)\r\n\n", "keys"), "REDIS_ENABLED": "true",
                "REDIS_URL_FILE": try write("redis://:hunter2@cache:6380/1", "url", mode: 0o644),
            ])
        #expect(settings.oidcClientSecret == "s3cret " && settings.records.keyring?.keyIDs.count == 1)
        #expect(settings.redisURL == "redis://:hunter2@cache:6380/1" && settings.redis.isURLGiven)
        #expect(settings.warnings.count == 1 && settings.warnings[0].hasPrefix("REDIS_URL_FILE: every user"))
        #expect(!"\(settings.warnings)".contains("hunter2"))
    }

    @Test("R46: a file that every user may read is warned of if secrets stand in it, in YAML or as lines NAME=value")
    func readableSecrets() async throws {
        defer { try? FileManager.default.removeItem(at: directory) }
        func warnings(yaml: String, lines: String, mode: Int) async throws -> [String] {
            try await GatewaySettings.load(
                environment: Self.required, environmentFile: try write(lines, "settings.env", mode: mode),
                configurationFile: try write(yaml, mode: mode)
            ).warnings
        }
        let (yaml, lines) = ("oidc_client_secret: hunter2\n", "OIDC_CLIENT_SECRET=hunter3\n")
        let found = try await warnings(yaml: yaml, lines: lines, mode: 0o644)
        #expect(found.count == 2 && found.allSatisfy { $0.hasSuffix(", which holds OIDC_CLIENT_SECRET") })
        #expect(found[0].contains("cloakroom.yaml") && found[1].contains("settings.env"))
        #expect(!"\(found)".contains("hunter"))
        #expect(try await warnings(yaml: yaml, lines: lines, mode: 0o640).isEmpty)
        #expect(try await warnings(yaml: "port: 1\n", lines: "LOG_LEVEL=debug\n", mode: 0o644).isEmpty)
    }

    @Test("a secret and its file in one place are an error; in two places the stronger one counts, whichever it is")
    func secretTwice() async throws {
        let path = try write("from-the-file", "secret")
        let both = ["OIDC_CLIENT_SECRET": "direct", "OIDC_CLIENT_SECRET_FILE": path]
        #expect(try await failure(nil, environment: both).contains("both given"))
        try write("from-the-file", "secret")
        let direct = try await load(
            "oidc_client_secret_file: \(path)\n", environment: ["OIDC_CLIENT_SECRET": "direct"])
        #expect(direct.oidcClientSecret == "direct")
        try write("from-the-file", "secret")
        let file = try await load("oidc_client_secret: direct\n", environment: ["OIDC_CLIENT_SECRET_FILE": path])
        #expect(file.oidcClientSecret == "from-the-file")
        let empty = try write("\n\n", "secret")
        #expect(try await failure(nil, environment: ["SESSION_KEYS_FILE": empty]).contains("is empty"))
        let nonsense = try write("hunter2", "secret")
        let line = try await failure(nil, environment: ["SESSION_KEYS_FILE": nonsense])
        #expect(line.hasPrefix("SESSION_KEYS ") && !line.contains("hunter2"))
    }

    @Test("only secrets may be in files of their own")
    func notASecret() async throws {
        #expect(try await failure("port_file: /x\n").contains("unknown setting"))
        #expect(try await load(nil, environment: ["PORT_FILE": "/nowhere"]).port == 8020)
    }
}

@Suite struct SettingsReferenceTests {
    private static let documentation = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../docs/settings.md").standardizedFileURL

    @Test("the reference in the documentation is what the declarations say; CLOAKROOM_UPDATE_DOCS=1 writes it")
    func reference() throws {
        let text = try String(contentsOf: Self.documentation, encoding: .utf8)
        let parts = text.split(separator: "<!-- reference -->\n", omittingEmptySubsequences: false)
        try #require(parts.count == 3)
        if ProcessInfo.processInfo.environment["CLOAKROOM_UPDATE_DOCS"] != nil {
            let mark = "<!-- reference -->\n"
            let updated = "\(parts[0])\(mark)\(SettingsReference.markdown)\(mark)\(parts[2])"
            try updated.write(to: Self.documentation, atomically: true, encoding: .utf8)
        } else {
            #expect(parts[1] == SettingsReference.markdown)
        }
    }

    @Test("every name is one setting's alone, in each of its forms")
    func names() {
        let names = Setting.all.map(\.name)
        #expect(Set(names).count == names.count)
        #expect(Set(names) == Set(GatewaySettings().effectiveSettings.map(\.name)))
        for setting in Setting.all {
            #expect(setting.name.wholeMatch(of: #/[A-Z][A-Z0-9_]*/#) != nil)
            #expect(setting.key == setting.name.lowercased() && !setting.about.isEmpty)
            // One that may be read from a file must not be taken for another setting's file.
            #expect(!(setting.isSecret && names.contains(setting.name + "_FILE")))
        }
    }
}
