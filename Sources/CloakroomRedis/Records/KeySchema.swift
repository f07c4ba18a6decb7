import Cloakroom
import Crypto

/// The names of the keys. None but those of sessions begins with the prefix, as people count sessions by it.
///
/// `session:` gives `session-index:…`, and `shop:session:` gives `shop:session-index:…`.
struct KeySchema: Sendable {
    let sessionPrefix: String
    private let base: String

    /// The issuer whose users and sessions are called by their own names alone, as all were before issuers were known: so
    /// that one release finds what the other has entered.
    private let defaultIssuer: String?

    init(sessionPrefix: String, defaultIssuer: String? = nil) {
        self.defaultIssuer = defaultIssuer
        self.sessionPrefix = sessionPrefix
        self.base = sessionPrefix.hasSuffix(":") ? String(sessionPrefix.dropLast()) : sessionPrefix
    }

    func session(_ name: RecordName) -> String { sessionPrefix + name.text }

    /// The name in a session's key; `nil` for a key that is none.
    func name(ofSessionKey key: String) -> RecordName? {
        key.hasPrefix(sessionPrefix) ? RecordName(String(key.dropFirst(sessionPrefix.count))) : nil
    }

    /// What matches the keys of all sessions in `SCAN`.
    var sessionPattern: String { Self.escaped(sessionPrefix) + "*" }

    /// What matches the keys of sessions whose names begin so.
    func pattern(of beginning: String) -> String { Self.escaped(sessionPrefix + beginning) + "*" }

    /// What matches the keys of all indexes and summaries in `SCAN`.
    var indexPattern: String { Self.escaped(derived("index")) + "*" }

    /// The sessions of a user. A hash, so that any text makes a key of a bounded safe alphabet.
    func userIndex(_ user: UserIdentity) -> String {
        derived("index") + "user:" + hash(user.subject, of: user.issuer)
    }

    /// The sessions that began within one at the identity provider.
    func providerSessionIndex(_ session: ProviderSession) -> String {
        derived("index") + "sid:" + hash(session.sid, of: session.issuer)
    }

    /// What lists show of a sealed session.
    func summary(_ name: RecordName) -> String { summary(handle: name.handle) }

    func summary(handle: SessionHandle) -> String { derived("index") + "summary:" + handle.description }

    /// The right to refresh a session: the same key whichever form the session's record has.
    func refreshLease(_ id: SessionID) -> String { refreshLease(handle: id.handle) }

    func refreshLease(handle: SessionHandle) -> String { derived("lease") + handle.description }

    /// Why a session ended.
    func endNote(_ handle: SessionHandle) -> String { derived("ended") + handle.description }

    /// A login under way or another thing that may be taken once.
    func oneTimeRecord(_ key: String) -> String { derived("once") + key }

    /// What a replica says of itself, for as long as it runs.
    func replica(_ id: String) -> String { derived("replica") + id }

    /// The IDs of the replicas, by when they last spoke.
    var replicaIndex: String { derived("replica") + "index" }

    /// The prefix of sessions' keys beside a list of replicas; `nil` for any other key.
    static func sessionPrefix(ofReplicaIndex key: String) -> String? {
        guard key.utf8.count <= 200, key.hasSuffix(":index") else { return nil }
        let name = key.dropLast(":index".count)
        if name.hasSuffix("-replica") { return name.dropLast("-replica".count) + ":" }
        return name.hasPrefix("replica-") ? String(name.dropFirst("replica-".count)) : nil
    }

    /// Whether a key is a session's or one of the others that are called after the same prefix.
    func isOurs(_ key: String) -> Bool {
        key.hasPrefix(sessionPrefix)
            || ["index", "once", "lease", "replica", "ended"].contains { key.hasPrefix(derived($0)) }
    }

    private func derived(_ kind: String) -> String {
        sessionPrefix.hasSuffix(":") ? "\(base)-\(kind):" : "\(kind)-\(base):"
    }

    /// The hash of a name at a provider. The issuer's length stands before it, so that no two pairs make one text.
    private func hash(_ name: String, of issuer: String?) -> String {
        guard let issuer, !issuer.utf8.elementsEqual((defaultIssuer ?? "").utf8) else { return Self.hash(name) }
        return Self.hash("\(issuer.utf8.count):\(issuer) \(name)")
    }

    private static func hash(_ text: String) -> String {
        var hash = SHA256()
        var text = text
        text.withUTF8 { hash.update(bufferPointer: UnsafeRawBufferPointer($0)) }
        return hash.finalize().withUnsafeBytes { Base64URL.encode(UnsafeRawBufferPointer(rebasing: $0[..<16])) }
    }

    /// The text with whatever a pattern would take for more than itself escaped.
    private static func escaped(_ text: String) -> String {
        text.reduce(into: "") { escaped, character in
            if "*?[]\\^".contains(character) { escaped.append("\\") }
            escaped.append(character)
        }
    }
}
