import AsyncHTTPClient
import NIOCore
import NIOPosix
import NIOSSL

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Says in words why a request over HTTP could not be made, without addresses or anything that a server sent.
package enum HTTPFailure {
    /// What went wrong, in words that follow "could not be had".
    package static func describe(_ error: any Error) -> String {
        switch error {
        case let error as IOError: return String(cString: strerror(error.errnoCode)).lowercased()
        case let error as NIOConnectionError:
            if let failure = error.connectionErrors.last { return describe(failure.error) }
            return error.dnsAError != nil || error.dnsAAAAError != nil
                ? "the host name can't be resolved" : "the connection failed"
        case is ChannelError: return "the connection took too long, or was closed"
        case is TimedOut: return "it took too long"
        case is NIOTooManyBytesError: return "the answer is too large"
        case is SocketAddressError.UnknownHost: return "the host name can't be resolved"
        case let error as HTTPClientError:
            return timeouts.contains(error) ? "it took too long" : error.shortDescription
        case is NIOSSLExtraError: return "the certificate is for another host name"
        case is NIOSSLError, is BoringSSLError: return tls("\(error)")
        default: return "\(type(of: error))"
        }
    }

    private static func tls(_ report: String) -> String {
        if report.contains("CERTIFICATE_VERIFY_FAILED") {
            return "the certificate has expired, or is not signed by an authority that is trusted"
        }
        if report.contains("WRONG_VERSION_NUMBER") || report.contains("HTTP_REQUEST") {
            return "the server does not speak TLS there"
        }
        return "TLS failed"
    }

    static let timeouts: [HTTPClientError] = [
        .connectTimeout, .readTimeout, .writeTimeout, .deadlineExceeded, .tlsHandshakeTimeout,
        .getConnectionFromPoolTimeout,
    ]
}
