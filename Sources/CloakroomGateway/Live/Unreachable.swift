import NIOCore

/// Ends connections whose other end is gone without a word, such as a telephone that has left the network.
enum Unreachable {
    /// Lets the system close a connection whose other end has not acknowledged for this long what it was sent (RFC 5482).
    ///
    /// An event stream is silent most of the time, and what the system has taken from us looks sent. Without this, a
    /// stream to nobody would last for a quarter of an hour.
    static func endConnection(_ channel: any Channel, after time: TimeAmount) {
        #if os(Linux)
        // TCP_USER_TIMEOUT; its name is not among those that NIO knows.
        let option = ChannelOptions.Types.SocketOption(level: .tcp, name: NIOBSDSocket.Option(rawValue: 18))
        try? channel.syncOptions?.setOption(option, value: SocketOptionValue(time.nanoseconds / 1_000_000))
        #endif
    }
}
