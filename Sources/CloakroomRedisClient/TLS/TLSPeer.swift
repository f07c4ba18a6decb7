import NIOCore
import NIOSSL

/// The other end of a TLS connection, as it has to prove to be.
struct TLSPeer: Sendable {
    let context: NIOSSLContext
    /// The name that its certificate must have; `nil` where its address must be in there.
    let name: String?

    /// What encrypts one connection, and lets nothing through before the certificate was verified.
    func makeHandler() throws -> NIOSSLClientHandler {
        guard let name else { return try NIOSSLClientHandler(context: context, serverHostname: nil) }
        // NIOSSL by itself is content with a certificate for the address that the name was resolved to. Whoever can forge
        // an answer of DNS can have one for an address of his own; so the name itself is looked for.
        return try NIOSSLClientHandler._makeSSLClientHandler(context: context, serverHostname: name) {
            (certificate, channel) in
            let isRight = certificate._subjectAlternativeNames().contains { entry in
                entry.nameType == .dnsName && Self.matches(String(decoding: entry.contents, as: UTF8.self), name: name)
            }
            return isRight
                ? channel.eventLoop.makeSucceededVoidFuture()
                : channel.eventLoop.makeFailedFuture(NIOSSLExtraError.failedToValidateHostname)
        }
    }

    /// Whether a name in a certificate, which may begin with `*.` for any one label, stands for this one (RFC 9525 §6.3).
    static func matches(_ pattern: String, name: String) -> Bool {
        let pattern = labels(pattern)
        let name = labels(name)
        guard pattern.count == name.count, !name.contains("") else { return false }
        // A `*` for a name of two labels would stand for whatever there is under a top-level domain.
        guard pattern[0] == "*", pattern.count > 2 else { return pattern == name }
        return pattern.dropFirst() == name.dropFirst()
    }

    private static func labels(_ name: String) -> [Substring] {
        let name = name.lowercased()
        return (name.hasSuffix(".") ? name.dropLast() : name[...]).split(
            separator: ".", omittingEmptySubsequences: false)
    }
}
