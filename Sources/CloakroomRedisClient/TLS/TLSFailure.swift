import NIOSSL

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Says in words why TLS could not be established, without names or anything of the certificate.
enum TLSFailure {
    /// When a certificate is valid, in seconds since 1970.
    struct Validity {
        let notBefore: Int
        let notAfter: Int
    }

    /// What TLS refused, if `error` is of TLS.
    ///
    /// - Parameter certificate: the server's, as far as it came.
    static func describe(_ error: any Error, certificate: NIOSSLCertificate?) -> String? {
        let validity = certificate.map {
            Validity(notBefore: Int($0.notValidBefore), notAfter: Int($0.notValidAfter))
        }
        let now = Int(time(nil))
        return switch error {
        case NIOSSLError.handshakeFailed(.sslError(let stack)): reason(in: "\(stack)", certificate: validity, now: now)
        case NIOSSLError.handshakeFailed(let other): reason(in: "\(other)", certificate: validity, now: now)
        case NIOSSLError.uncleanShutdown: "the server closed the connection without a farewell of TLS"
        case is NIOSSLError: "TLS failed"
        case let error as BoringSSLError: reason(in: "\(error)", certificate: validity, now: now)
        case let error as NIOSSLExtraError where error == .failedToValidateHostname: wrongName
        case is NIOSSLExtraError: "TLS failed, as the server's name can't be compared with a certificate"
        default: nil
        }
    }

    private static let wrongName =
        "the server's certificate is for another host name or address than the one that is connected to"
    private static let notTLS = "the server does not speak TLS there"

    /// What BoringSSL's names for errors mean; the first that is found counts. Alerts are what the server says of us.
    private static let meanings: [(name: String, meaning: String)] = [
        ("WRONG_VERSION_NUMBER", notTLS),
        ("HTTP_REQUEST", notTLS),
        ("CERTIFICATE_REQUIRED", "the server wants a client certificate"),
        ("ALERT_UNKNOWN_CA", "the server does not trust our client certificate"),
        ("ALERT_BAD_CERTIFICATE", "the server does not accept our client certificate"),
        ("ALERT_CERTIFICATE", "the server does not accept our client certificate"),
        ("ALERT_UNSUPPORTED_CERTIFICATE", "the server does not accept our client certificate"),
        (
            "ALERT_HANDSHAKE_FAILURE",
            "the server refused the TLS handshake: it wants a client certificate, or has no cipher in common with us"
        ),
        ("PROTOCOL_VERSION", "the server speaks no TLS of version 1.2 or newer"),
        ("UNSUPPORTED_PROTOCOL", "the server speaks no TLS of version 1.2 or newer"),
        ("UNRECOGNIZED_NAME", "the server does not know the host name that it is asked for"),
        ("NO_SHARED_CIPHER", "the server has no cipher in common with us"),
        (
            "EOF during handshake",
            "the server closed the connection during the TLS handshake; it may not speak TLS there"
        ),
        ("syscallError", "the connection was lost during the TLS handshake"),
        ("zeroReturn", "the server closed the connection"),
        ("_ALERT_", "the server refused the TLS handshake"),
    ]

    /// What BoringSSL's report means.
    static func reason(in report: String, certificate: Validity?, now: Int) -> String {
        if report.contains("CERTIFICATE_VERIFY_FAILED") {
            if let certificate, certificate.notAfter < now { return "the server's certificate has expired" }
            if let certificate, certificate.notBefore > now { return "the server's certificate is not valid yet" }
            return "the server's certificate is not signed by an authority that is trusted"
        }
        return meanings.first { report.contains($0.name) }?.meaning ?? "TLS failed"
    }
}
