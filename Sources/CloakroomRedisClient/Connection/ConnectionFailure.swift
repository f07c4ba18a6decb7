import NIOCore
import NIOPosix

/// Says in words why a connection failed, without addresses or anything that a URL may hold.
enum ConnectionFailure {
    static func describe(_ error: any Error) -> String {
        switch error {
        case let error as RedisClientError: error.reason
        case let error as RedisServerError: error.description
        case let error as IOError: reason(error.errnoCode)
        case let error as NIOConnectionError: describe(error)
        case is ChannelError: "the connection timed out or was closed"
        default: "the connection failed (\(type(of: error)))"
        }
    }

    private static func describe(_ error: NIOConnectionError) -> String {
        if let failure = error.connectionErrors.last { return describe(failure.error) }
        if error.dnsAError != nil || error.dnsAAAAError != nil { return "the host name can't be resolved" }
        return "the connection failed"
    }

    private static func reason(_ code: CInt) -> String {
        String(cString: strerror(code)).lowercased()
    }
}
