import NIOCore

/// A server's report that the values of keys have changed.
struct Invalidation: Equatable {
    /// The keys; `nil` for all.
    let keys: [ByteBuffer]?

    /// Reads a push; `nil` if it is one of another kind.
    ///
    /// One that can't be understood stands for all keys: something has changed, and nobody knows what.
    init?(_ push: [RESPValue]) {
        switch push.first {
        case .bulk(let kind) where kind.readableBytesView.elementsEqual("invalidate".utf8): break
        case .simpleString("invalidate"): break
        default: return nil
        }
        guard push.count == 2, case .array(let elements) = push[1] else {
            keys = nil
            return
        }
        var keys: [ByteBuffer] = []
        keys.reserveCapacity(elements.count)
        for element in elements {
            guard case .bulk(let key) = element else {
                self.keys = nil
                return
            }
            keys.append(key)
        }
        self.keys = keys
    }
}
