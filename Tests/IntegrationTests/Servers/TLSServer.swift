import CloakroomRedisClient
import Foundation
import TestSupport

/// Certificates of a test's own: two authorities that know nothing of each other, and what the first has signed.
final class TestCertificates: Sendable {
    let directory: URL

    /// Makes them, gives them to `body`, and removes them whatever happens.
    static func run<Result>(_ body: (TestCertificates) async throws -> Result) async throws -> Result {
        let certificates = try TestCertificates()
        do {
            let result = try await body(certificates)
            certificates.remove()
            return result
        } catch {
            certificates.remove()
            throw error
        }
    }

    private init() throws {
        directory = FileManager.default.temporaryDirectory.appending(path: "cloakroom-tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        for name in ["ca", "other-ca"] {
            try openssl(
                ["req", "-x509"] + Self.newKey
                    + [
                        "-keyout", path("\(name).key"), "-out", path("\(name).crt"), "-days", "30", "-subj",
                        "/CN=test \(name)", "-addext", "basicConstraints=critical,CA:TRUE", "-addext",
                        "keyUsage=critical,keyCertSign,cRLSign",
                    ])
        }
        let server = "extendedKeyUsage=serverAuth"
        try sign("server", "subjectAltName=IP:127.0.0.1,DNS:localhost\n\(server)")
        try sign("named", "subjectAltName=DNS:redis.example.com\n\(server)")
        // Nodes of a cluster are each other's clients too, and ask for a certificate there.
        try sign("node", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth")
        try sign("client", "extendedKeyUsage=clientAuth")
        try sign("foreign-client", "extendedKeyUsage=clientAuth", by: "other-ca")
        try sign(
            "expired", "subjectAltName=IP:127.0.0.1,DNS:localhost\n\(server)", validity: ["-days", "-1"])
    }

    func path(_ file: String) -> String { directory.appending(path: file).path }

    /// Writes a file.
    func write(_ text: String, to file: String) throws -> String {
        try text.write(toFile: path(file), atomically: true, encoding: .utf8)
        return path(file)
    }

    private static let newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]

    private func sign(
        _ name: String, _ extensions: String, by authority: String = "ca", validity: [String] = ["-days", "30"]
    ) throws {
        try openssl(
            ["req"] + Self.newKey + [
                "-keyout", path("\(name).key"), "-out", path("\(name).csr"), "-subj", "/CN=\(name)",
            ])
        let file = try write("basicConstraints=CA:FALSE\n\(extensions)\n", to: "\(name).ext")
        try openssl(
            [
                "x509", "-req", "-in", path("\(name).csr"), "-CA", path("\(authority).crt"), "-CAkey",
                path("\(authority).key"), "-CAcreateserial", "-out", path("\(name).crt"), "-extfile", file,
            ] + validity)
    }

    func openssl(_ arguments: [String]) throws {
        let process = Process()
        process.executableURL = RedisServer.find("openssl")
        process.arguments = arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        let output = Pipe()
        process.standardError = output
        try process.run()
        let complaint = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure("openssl: \(String(decoding: complaint, as: UTF8.self))")
        }
    }

    private func remove() { try? FileManager.default.removeItem(at: directory) }

    /// The lines of a server's file of settings that let it speak nothing but TLS.
    func settings(port: Int) -> [String] {
        [
            "port 0", "tls-port \(port)", "tls-cert-file \(path("node.crt"))", "tls-key-file \(path("node.key"))",
            "tls-ca-cert-file \(path("ca.crt"))", "tls-auth-clients no", "tls-replication yes", "tls-cluster yes",
        ]
    }

    /// What the client needs to trust servers whose certificates the first authority has signed.
    func options(certificate: String? = nil, serverName: String? = nil) -> RedisTLSConfiguration {
        var options = RedisTLSConfiguration()
        options.caFile = path("ca.crt")
        options.certificateFile = certificate.map { path("\($0).crt") }
        options.privateKeyFile = certificate.map { path("\($0).key") }
        options.serverName = serverName
        return options
    }
}

extension RedisServer {
    /// Runs a server that speaks nothing but TLS.
    static func run<Result>(
        _ certificates: TestCertificates, certificate: String = "server", wantsClientCertificate: Bool = false,
        _ options: [String] = [], _ body: (RedisServer) async throws -> Result
    ) async throws -> Result {
        let files = [
            "--tls-cert-file", certificates.path("\(certificate).crt"), "--tls-key-file",
            certificates.path("\(certificate).key"), "--tls-ca-cert-file", certificates.path("ca.crt"),
            "--tls-auth-clients", wantsClientCertificate ? "yes" : "no",
        ]
        return try await run(
            files + options, portOption: "--tls-port",
            cli: [
                "--tls", "--insecure", "--cert", certificates.path("client.crt"), "--key",
                certificates.path("client.key"),
            ], body)
    }

    var urlWithTLS: String { "rediss://127.0.0.1:\(port)/0" }
}
