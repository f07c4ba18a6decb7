import NIOSSL

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Why TLS could not be established, in words, without names or anything of the certificate.
struct TLSFailure: Equatable {
    /// When a certificate is valid, in seconds since 1970.
    struct Validity {
        let notBefore: Int
        let notAfter: Int
    }

    let reason: String
    /// Whether one side did not want the other, rather than went away.
    let isRefusal: Bool

    /// Reads an error; `nil` if it is not of TLS.
    ///
    /// - Parameter certificate: the server's, as far as it came.
    init?(_ error: any Error, certificate: NIOSSLCertificate?) {
        let report: String
        switch error {
        case let error as NIOSSLExtraError:
            self =
                error == .failedToValidateHostname
                ? Self.refusal("the server's certificate is for another host name or address than the one connected to")
                : Self.refusal("the server's name can't be compared with a certificate")
            return
        case NIOSSLError.uncleanShutdown:
            self.init(reason: "the server closed the connection", isRefusal: false)
            return
        case NIOSSLError.handshakeFailed(let cause): report = "\(cause)"
        case let error as NIOSSLError: report = "\(error)"
        case let error as BoringSSLError: report = "\(error)"
        default: return nil
        }
        let validity = certificate.map {
            Validity(notBefore: Int($0.notValidBefore), notAfter: Int($0.notValidAfter))
        }
        self.init(report: report, certificate: validity, now: Int(time(nil)))
    }

    /// Reads what BoringSSL reports.
    init(report: String, certificate: Validity?, now: Int) {
        if report.contains("CERTIFICATE_VERIFY_FAILED") {
            self =
                if let certificate, certificate.notAfter < now {
                    Self.refusal("the server's certificate has expired")
                } else if let certificate, certificate.notBefore > now {
                    Self.refusal("the server's certificate is not valid yet")
                } else {
                    Self.refusal("the server's certificate is not signed by an authority that is trusted")
                }
        } else {
            self = Self.meanings.first { report.contains($0.name) }?.meaning ?? Self.refusal("TLS failed")
        }
    }

    private init(reason: String, isRefusal: Bool) {
        self.reason = reason
        self.isRefusal = isRefusal
    }

    private static func refusal(_ reason: String) -> TLSFailure { TLSFailure(reason: reason, isRefusal: true) }
    private static func loss(_ reason: String) -> TLSFailure { TLSFailure(reason: reason, isRefusal: false) }

    /// What BoringSSL's names for errors mean; the first that is found counts. Alerts are what the server says of us.
    private static let meanings: [(name: String, meaning: TLSFailure)] = [
        ("WRONG_VERSION_NUMBER", refusal("the server does not speak TLS there")),
        ("HTTP_REQUEST", refusal("the server does not speak TLS there")),
        ("CERTIFICATE_REQUIRED", refusal("the server wants a client certificate")),
        ("ALERT_UNKNOWN_CA", refusal("the server does not trust our client certificate")),
        ("ALERT_BAD_CERTIFICATE", refusal("the server does not accept our client certificate")),
        ("ALERT_CERTIFICATE", refusal("the server does not accept our client certificate")),
        ("ALERT_UNSUPPORTED_CERTIFICATE", refusal("the server does not accept our client certificate")),
        (
            "ALERT_HANDSHAKE_FAILURE",
            refusal("the server refused TLS: it wants a client certificate, or has no cipher in common with us")
        ),
        ("PROTOCOL_VERSION", refusal("the server does not support TLS 1.2 or newer")),
        ("UNSUPPORTED_PROTOCOL", refusal("the server does not support TLS 1.2 or newer")),
        ("UNRECOGNIZED_NAME", refusal("the server does not know the host name that it is asked for")),
        ("_ALERT_", refusal("the server refused TLS")),
        ("EOF during handshake", loss("the server closed the connection before TLS was established; is TLS on there?")),
        ("syscallError", loss("the connection was lost before TLS was established")),
        ("zeroReturn", loss("the server closed the connection")),
    ]
}
