public import Cloakroom
import CloakroomRedisClient
import NIOCore

/// Why sessions ended, for ten minutes: one small key for each session that was ended, `session-ended:HANDLE`.
///
/// Best effort: what Redis answers to a note is not looked at. An end does not fail for want of one, as when memory is full or the
/// user may not write that key.
struct RedisEndNotes: Sendable {
    let calls: RedisCalls
    let keys: KeySchema

    /// How many sessions one script looks at: it must not hold the server up.
    private static let stretch = 100

    /// Notes a reason for each session that there is, so that invented IDs leave no notes. `KEYS` are the key of a session and that
    /// of its note, in turn; `ARGV[1]` the reason; `ARGV[2]` how long to keep it, in milliseconds; `ARGV[3]` the length of a
    /// tombstone, which is no session.
    ///
    /// It is always sent in full: were it sent by its digest, a server that does not know it but does know the script that ends
    /// sessions would end the session, and be asked to do so again.
    private static let source = """
        for i = 1, #KEYS, 2 do
          local length = redis.pcall('STRLEN', KEYS[i])
          if type(length) ~= 'number' or (length > 0 and length ~= tonumber(ARGV[3])) then
            redis.call('SET', KEYS[i + 1], ARGV[1], 'PX', ARGV[2])
          end
        end
        return 0
        """

    /// What to send just before the commands that end these sessions. Nothing in a cluster, where a note is on another server
    /// than its session.
    func before(ending names: [RecordName], because reason: SessionEndReason?) -> [ScriptedCommand] {
        guard let reason, reason.isNoted, !calls.isCluster else { return [] }
        return stride(from: 0, to: names.count, by: Self.stretch).map { start in
            let part = names[start..<min(start + Self.stretch, names.count)]
            return ScriptedCommand(
                .evaluate(
                    source: Self.source, keys: part.flatMap { [keys.session($0), keys.endNote($0.handle)] },
                    [
                        .text(reason.rawValue), .integer(EndNotes.lifetime.wholeMilliseconds),
                        .integer(RecordCodec.tombstone.count),
                    ], isIdempotent: true))
        }
    }

    /// What to send after sessions have ended for which ``before(ending:because:)`` has noted nothing.
    func after(
        ending names: [RecordName], because reason: SessionEndReason, onlyInCluster: Bool = true
    ) -> [ScriptedCommand] {
        guard reason.isNoted, calls.isCluster || !onlyInCluster else { return [] }
        return names.map { name in
            ScriptedCommand(
                .set(
                    keys.endNote(name.handle), .text(reason.rawValue),
                    milliseconds: EndNotes.lifetime.wholeMilliseconds))
        }
    }

    func reason(of session: SessionHandle) async throws -> SessionEndReason? {
        switch try await calls.send(.get(keys.endNote(session))) {
        case .bulk(let buffer): return SessionEndReason(rawValue: String(buffer: buffer))
        // What stands there is too long to be a reason.
        case .null, .oversized: return nil
        default: throw SessionStoreError(.rejected, reason: "an unexpected reply to GET")
        }
    }
}

extension RedisSessionStore: SessionEndNotes {
    public func endReason(of session: SessionHandle) async throws -> SessionEndReason? {
        try await endNotes.reason(of: session)
    }
}
