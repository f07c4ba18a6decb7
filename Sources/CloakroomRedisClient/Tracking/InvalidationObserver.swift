public import NIOCore

/// Is told, on an event loop, of what servers report about the keys that were read over a client's connections
/// (`CLIENT TRACKING`, Redis 6.0), so that it can keep copies of them that stay true.
///
/// The reports come in the order in which the servers sent them among their replies: once a reply has reached its caller,
/// every change that the server made before it was reported. An observer must not block.
public protocol InvalidationObserver: Sendable {
    /// The values of these keys have changed, or may have; `nil` for those of all keys.
    func invalidated(_ keys: [ByteBuffer]?)

    /// Changes may have been missed: a connection was lost, or keys moved to another node. Nothing that was read before
    /// may be believed any more.
    func trackingInterrupted()

    /// All that has changed up to now was reported. What was read may be believed until then, unless it is reported in the
    /// meantime; called again and again while all connections answer.
    func trackingConfirmed(until: NIODeadline)
}
