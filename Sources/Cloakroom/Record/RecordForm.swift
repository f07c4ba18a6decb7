/// What a stored value looks like by its first bytes: which form it has, without opening it.
package enum RecordForm: Sendable, Hashable {
    /// How many bytes ``init(prefix:)`` needs.
    package static let prefixLength = 64

    /// A sealed session, and the ID of the key that sealed it, as ``SessionKeyring/keyIDs`` shows it.
    case sealed(keyID: String)
    /// A plain session, perhaps compressed.
    case plain
    /// The mark of a session that was ended.
    case ended
    /// Nothing that Cloakroom has written.
    case unknown

    /// - Parameter prefix: the first ``prefixLength`` bytes of the value, or all of it if it has fewer.
    package init(prefix: [UInt8]) {
        if prefix.first == SealedRecord.magic {
            guard prefix.count >= 6, prefix[1] == SealedRecord.Kind.session.rawValue else {
                self = .unknown
                return
            }
            let id = prefix[2..<6].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            self = .sealed(keyID: SealingKey.text(ofID: id))
            return
        }
        if prefix == RecordCodec.tombstone {
            self = .ended
            return
        }
        let isGzip = prefix.withUnsafeBytes { Gzip.isGzip($0) }
        let first = prefix.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
        self = isGzip || first == UInt8(ascii: "{") ? .plain : .unknown
    }

    /// Whether a value that is not known to be a session is likely to be one: that another program's keys are not taken for
    /// sessions.
    package static func isLikelySession(prefix: [UInt8]) -> Bool {
        switch RecordForm(prefix: prefix) {
        case .sealed: return true
        case .plain:
            let member = Array(#""tokens""#.utf8)
            return prefix.count > member.count
                && (0...prefix.count - member.count).contains { prefix[$0..<$0 + member.count].elementsEqual(member) }
        case .ended, .unknown: return false
        }
    }
}
