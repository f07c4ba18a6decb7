import Cloakroom
import CloakroomRedisClient
package import Logging
import NIOCore
import ServiceLifecycle

/// An app's own values in Redis, beside the sessions: bytes by name, which end by themselves or stay.
///
/// It keeps connections of its own, so that neither holds up the other. ``run()`` must run for as long as it is used.
package final class RedisValues: Sendable {
    /// How many bytes a value may have.
    package static let maximumSize = 1 << 20
    /// How many bytes a name may have.
    package static let nameSizes = 1...512

    private let calls: RedisCalls
    private let prefix: String

    /// Makes a store of values; nothing is connected before ``run()``.
    ///
    /// - Parameters:
    ///   - configuration: where Redis is, and how it is treated.
    ///   - prefix: what stands before the names in keys. It must not begin as the keys of sessions do, which are counted
    ///     by that.
    package init(configuration: RedisStoreConfiguration, prefix: String, logger: Logger) {
        precondition(
            !prefix.hasPrefix(configuration.keyPrefix) && !configuration.keyPrefix.hasPrefix(prefix),
            "values must not be named as sessions are: \(prefix)")
        var options = RedisClientConfiguration(configuration)
        options.limits.bulkSize = Self.maximumSize
        options.commandTimeout += configuration.waitReplicas > 0 ? configuration.waitTimeout : .zero
        let client = RedisClient(configuration: options, logger: logger)
        calls = RedisCalls(
            client: client, confirming: client, waitReplicas: configuration.waitReplicas,
            waitMilliseconds: max(1, configuration.waitTimeout.wholeMilliseconds))
        self.prefix = prefix
    }

    /// Connects to Redis, again whenever a connection is lost, until the service is asked to stop; calls that are under
    /// way then are finished first.
    package func run() async throws {
        await withGracefulShutdownHandler {
            await calls.client.run()
        } onGracefulShutdown: {
            self.calls.client.shutDown()
        }
    }

    /// Keeps a value in the place of any other.
    ///
    /// - Parameter lifetime: how long it is kept; `nil` for as long as the one before it would have been, or for ever.
    /// - Throws: `SessionStoreError` when it could not be confirmed; when the name or the value is too large.
    package func put(_ value: [UInt8], named name: String, lifetime: Duration?) async throws {
        let command = RedisCommand(
            "SET", try Self.arguments(key(name), value) + (Self.expiry(lifetime) ?? [.text("KEEPTTL")]), key: 0,
            isIdempotent: true)
        try Self.check(await calls.writeDurably(ScriptedCommand(command)), command)
    }

    /// Keeps a value unless there is one with this name.
    ///
    /// - Parameter lifetime: how long it is kept; `nil` for ever.
    /// - Returns: whether it is this value that is kept.
    /// - Throws: as ``put(_:named:lifetime:)``.
    package func putIfAbsent(_ value: [UInt8], named name: String, lifetime: Duration?) async throws -> Bool {
        // A second one would find that of the first.
        let command = RedisCommand(
            "SET", try Self.arguments(key(name), value) + (Self.expiry(lifetime) ?? []) + [.text("NX")], key: 0,
            isIdempotent: false)
        let reply = try await calls.writeDurably(ScriptedCommand(command))
        if case .null = reply { return false }
        try Self.check(reply, command)
        return true
    }

    /// A value, and how long it is kept still, or `nil` for ever.
    ///
    /// - Returns: `nil` when there is none.
    /// - Throws: `SessionStoreError` when the store can't tell, or the name is too large.
    package func value(named name: String) async throws -> (value: [UInt8], lifetime: Duration?)? {
        let key = try key(name)
        // As one group, so that both speak of the same value but for the moment between them.
        let replies = try await RedisCalls.translatingErrors {
            try await calls.client.send(contiguous: [.get(key), .remainingMilliseconds(key)])
        }
        for case .error(let error) in replies { throw RedisFailure.storeError(error) }
        guard replies.count == 2, replies[0] != .null else { return nil }
        guard case .bulk(let buffer) = replies[0] else {
            throw SessionStoreError(.rejected, reason: "what is stored there is no value of ours")
        }
        guard let milliseconds = replies[1].integer, milliseconds >= 0 else {
            // -1: it does not end. -2: it ended between the two.
            return replies[1].integer == -1 ? (Array(buffer.readableBytesView), nil) : nil
        }
        return (Array(buffer.readableBytesView), .milliseconds(milliseconds))
    }

    /// Removes a value. Removing one that is not there is no error.
    ///
    /// - Throws: `SessionStoreError` when it could not be confirmed, or the name is too large.
    package func remove(named name: String) async throws {
        _ = try await calls.writeDurably(ScriptedCommand(.unlink(try key(name))))
    }

    private func key(_ name: String) throws -> String {
        guard Self.nameSizes.contains(name.utf8.count) else {
            throw SessionStoreError(.tooLarge, reason: "the name of a value has 1 to 512 bytes")
        }
        return prefix + name
    }

    private static func arguments(_ key: String, _ value: [UInt8]) throws -> [RedisCommand.Argument] {
        guard value.count <= maximumSize else {
            throw SessionStoreError(.tooLarge, reason: "a value may have \(maximumSize) bytes, not \(value.count)")
        }
        return [.text(key), .bytes(value)]
    }

    private static func expiry(_ lifetime: Duration?) -> [RedisCommand.Argument]? {
        // Redis refuses zero; what is over at once lasts for a millisecond. Beyond ten years its own sum might overflow.
        lifetime.map { [.text("PX"), .integer(max(1, min($0, .seconds(3653 * 86_400)).wholeMilliseconds))] }
    }

    private static func check(_ reply: RESPValue, _ command: RedisCommand) throws {
        guard reply == .simpleString("OK") else {
            throw SessionStoreError(.rejected, reason: "an unexpected reply to \(command)")
        }
    }
}
