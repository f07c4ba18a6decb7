import Cloakroom
import CloakroomOIDC
import CloakroomRedis
import Foundation
import Logging
import ServiceLifecycle

/// Reads keys and certificates again when their files change, or when it is asked to: with nobody logged out.
///
/// What it reads is `SESSION_KEYS_FILE`, the files of TLS to Redis and of TLS on the port, and what the client shows the provider. A
/// file that has changed to nonsense changes nothing: what was read before stays in use, and the log says what is wrong.
struct SecretReload: Service {
    /// How often files are looked at. Asked for rather than told: a mounted Secret changes by a link somewhere above the file,
    /// which notices of the file itself would miss, and macOS has other ones than Linux.
    private static let interval = Duration.seconds(2)

    private let keyFile: String?
    private let certificateFiles: [String]
    private let listenerFiles: [String]
    private let listenerTLS: ListenerTLS?
    private let clients: [(proof: ClientProof, credentials: ClientCredentials)]
    private let stores: [RedisSessionStore]
    private let requests: AsyncStream<Void>
    private let logger: Logger

    init(
        settings: GatewaySettings, stores: [RedisSessionStore], listenerTLS: ListenerTLS?,
        clients: [(proof: ClientProof, credentials: ClientCredentials)], requests: AsyncStream<Void>, logger: Logger
    ) {
        self.clients = clients
        keyFile = settings.origins["SESSION_KEYS"]?.file
        let tls = settings.redis.tls
        certificateFiles = [tls.caFile, tls.certificateFile, tls.privateKeyFile].compactMap { $0 }
        listenerFiles = [settings.tls.certificateFile, settings.tls.keyFile].compactMap { $0 }
        self.listenerTLS = listenerTLS
        self.stores = stores
        self.requests = requests
        self.logger = logger
    }

    func run() async {
        var (keys, certificates, listener) = (stamps([keyFile]), stamps(certificateFiles), stamps(listenerFiles))
        var clientStamps = clients.map { stamps($0.proof.files) }
        for await isAsked in asked() {
            let (newKeys, newCertificates) = (stamps([keyFile]), stamps(certificateFiles))
            let newListener = stamps(listenerFiles)
            if isAsked || newKeys != keys { readKeys() }
            if isAsked || newCertificates != certificates { readCertificates() }
            if isAsked || newListener != listener { readListenerCertificate() }
            for (index, client) in clients.enumerated() {
                let new = stamps(client.proof.files)
                if isAsked || new != clientStamps[index] { read(client.proof, into: client.credentials) }
                clientStamps[index] = new
            }
            (keys, certificates, listener) = (newKeys, newCertificates, newListener)
        }
    }

    /// `true` for each request, and `false` now and then; ends at the shutdown.
    private func asked() -> some AsyncSequence<Bool, Never> {
        let (stream, continuation) = AsyncStream<Bool>.makeStream(bufferingPolicy: .bufferingNewest(2))
        let requests = requests
        let task = Task {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { for await _ in requests { continuation.yield(true) } }
                group.addTask {
                    while (try? await Task.sleep(for: Self.interval)) != nil { continuation.yield(false) }
                }
                await group.waitForAll()
            }
            continuation.finish()
        }
        continuation.onTermination = { _ in task.cancel() }
        return stream.cancelOnGracefulShutdown()
    }

    private func readKeys() {
        guard let keyFile, !stores.isEmpty else { return }
        do {
            let keyring = try SessionKeyring(try SettingsFile.secret(at: keyFile).text)
            for store in stores { store.replaceKeyring(keyring) }
            logger.notice(
                "Session keys were read again", metadata: ["keys": "\(keyring.keyIDs.joined(separator: ", "))"])
        } catch {
            let reason = (error as? SettingsFile.Problem).map { "the file \($0.reason)" } ?? "\(error)"
            logger.error(
                "Session keys could not be read again; those read before stay in use",
                metadata: ["setting": "SESSION_KEYS_FILE", "reason": "\(reason)"])
        }
    }

    private func readCertificates() {
        guard !certificateFiles.isEmpty, !stores.isEmpty else { return }
        do {
            for store in stores { try store.renewTLS() }
            logger.notice("Certificates for Redis were read again; new connections use them")
        } catch {
            logger.error(
                "Certificates for Redis could not be read again; those read before stay in use",
                metadata: ["reason": "\((error as? SessionStoreError)?.reason ?? "unknown")"])
        }
    }

    private func readListenerCertificate() {
        guard let listenerTLS else { return }
        do {
            try listenerTLS.renew()
            logger.notice("The port's certificate was read again; new connections get it")
        } catch {
            logger.error(
                "The port's certificate could not be read again; the one read before stays in use",
                metadata: ["reason": "TLS_CERT_FILE and TLS_KEY_FILE can't be read, or do not belong together"])
        }
    }

    private func read(_ proof: ClientProof, into credentials: ClientCredentials) {
        guard !proof.files.isEmpty else { return }
        do throws(SettingsError) {
            credentials.replace(with: try proof.read())
            logger.notice("What this client shows the provider was read again; requests use it from now on")
        } catch {
            logger.error(
                "What this client shows the provider could not be read again; what was read before stays in use",
                metadata: ["reason": "\(error)"])
        }
    }

    /// What changes when a file is written or another takes its place, as Kubernetes does it by turning a link.
    private struct Stamp: Equatable {
        let device: UInt64
        let inode: UInt64
        let size: Int64
        let seconds: Int
        let nanoseconds: Int
    }

    private func stamps(_ paths: [String?]) -> [Stamp?] {
        paths.map { path in
            var status = stat()
            guard let path, stat(path, &status) == 0 else { return nil }
            #if canImport(Darwin)
            let time = status.st_mtimespec
            #else
            let time = status.st_mtim
            #endif
            return Stamp(
                device: UInt64(truncatingIfNeeded: status.st_dev), inode: UInt64(status.st_ino),
                size: Int64(status.st_size), seconds: Int(time.tv_sec), nanoseconds: Int(time.tv_nsec))
        }
    }
}
