import Cloakroom
import CloakroomRedisClient
import Logging
import NIOCore
import Synchronization

/// A new session and its entries in the indexes as one transaction of plain commands (`MULTI`), where no limit must be
/// looked at: it costs the server less than half of what a script does.
///
/// It needs `PEXPIRE … GT` (Redis 7.0) and the right to transactions. A server that refuses gets the script for a while,
/// which leaves the same whatever has been carried out by then; after that it is asked again, as it may have been upgraded,
/// or the user's rights mended.
final class CreateTransaction: Sendable {
    private static let pause = TimeAmount.minutes(10)

    private let logger: Logger
    /// Until when the script is used, in nanoseconds of the monotonic clock.
    private let refusedUntil = Atomic<UInt64>(0)
    private let hasReported = Atomic<Bool>(false)

    init(logger: Logger) { self.logger = logger }

    /// Whether an error may mean that the server can't do this, and not that it can't store.
    static func means(_ kind: RedisServerError.Kind) -> Bool {
        switch kind {
        case .notPermitted, .unknownCommand, .unspecified: true
        default: false
        }
    }

    /// - Parameters:
    ///   - set: stores the session.
    ///   - indexes: the keys of the sorted sets that it belongs in.
    ///   - life: the milliseconds until the session's absolute end, for which an index must last.
    ///   - also: what else belongs to it.
    /// - Returns: `false` when the server can't do this.
    /// - Throws: ``SessionStoreError``
    func run(
        _ calls: RedisCalls, set: RedisCommand, indexes: [String], member: String, score: Int, now: Int, life: Int,
        also: [ScriptedCommand]
    ) async throws -> Bool {
        guard NIODeadline.now().uptimeNanoseconds >= refusedUntil.load(ordering: .relaxed) else { return false }
        var commands = [RedisCommand("MULTI", isIdempotent: true), set]
        for index in indexes {
            commands += [
                .addToSortedSet(index, [(score: score, member: member)]),
                // Lasts as long as the longest session in it.
                .expire(index, milliseconds: life, only: "NX"), .expire(index, milliseconds: life, only: "GT"),
            ]
            // Readers pass over what has ended; it must only not pile up.
            if now.isMultiple(of: 8) { commands.append(.removeFromSortedSet(index, maximum: now - 1)) }
        }
        commands.append(RedisCommand("EXEC", isIdempotent: true))
        let replies: [RESPValue]
        do {
            replies = try await calls.writeTransaction(commands, also: also)
        } catch let error as RedisServerError where Self.means(error.kind) {
            refuse(error)
            return false
        } catch {
            // A refusal of what belongs to it says nothing of the transaction.
            throw RedisFailure.storeError(error, mayBeInPart: error is RedisServerError && !also.isEmpty)
        }
        guard let results = replies[commands.count - 1].elements, results.count == commands.count - 2 else {
            throw SessionStoreError(.rejected, reason: "an unexpected reply to EXEC")
        }
        for case .error(let error) in results { throw RedisFailure.storeError(error) }
        return true
    }

    /// Takes the script from now on, and says so once.
    private func refuse(_ error: RedisServerError) {
        refusedUntil.store((NIODeadline.now() + Self.pause).uptimeNanoseconds, ordering: .relaxed)
        guard !hasReported.exchange(true, ordering: .relaxed) else { return }
        logger.notice(
            "this Redis does not create sessions by a transaction, which takes Redis 7.0 and the right to its commands; a script does it, more slowly",
            metadata: ["reason": "\(error)"])
    }
}

extension RedisCommand {
    /// `PEXPIRE key milliseconds NX|GT` (Redis 7.0)
    static func expire(_ key: String, milliseconds: Int, only condition: String) -> RedisCommand {
        RedisCommand(
            "PEXPIRE", [.text(key), .integer(milliseconds), .text(condition)], key: 0, isIdempotent: true)
    }
}
