public import CloakroomRedis
import Foundation
public import Hummingbird
public import Logging

/// Hummingbird's persistent key/value store in Redis, over Cloakroom's client: one server, Sentinel or Cluster, TLS and
/// reconnects as `RedisSessionStore` has them. It keeps connections of its own.
///
/// ```swift
/// let persist = RedisPersistDriver(configuration: configuration, logger: logger)
/// application.addServices(store, persist)
/// try await persist.set(key: "receipt-17", value: receipt, expires: .seconds(3600))
/// ```
///
/// Values are JSON, readable for whoever can read Redis: they are not sealed. A key has at most 512 bytes, a value 1 MiB.
/// Whatever Redis can't confirm is thrown as `SessionStoreError`, which `FailureMiddleware` of `CloakroomHummingbird`
/// answers with 503.
public final class RedisPersistDriver: PersistDriver {
    private let values: RedisValues

    /// Makes a driver; nothing is connected before ``run()``.
    ///
    /// - Parameters:
    ///   - configuration: where Redis is and how it is treated; what is about sessions is not used.
    ///   - keyPrefix: what stands before a key in Redis. Sessions are counted by the prefix of their keys, so neither may
    ///     begin with the other; anything else is an error of the program, and ends it.
    ///   - logger: gets connection events; never a key, a value or a password.
    public init(configuration: RedisStoreConfiguration, keyPrefix: String = "persist:", logger: Logger) {
        values = RedisValues(configuration: configuration, prefix: keyPrefix, logger: logger)
    }

    /// Connects to Redis, again whenever a connection is lost, until the service is asked to stop.
    public func run() async throws { try await values.run() }

    /// Keeps a value under a key that has none.
    ///
    /// - Parameter expires: after how long it ends; `nil` for never.
    /// - Throws: `PersistError.duplicate` when there is one; `SessionStoreError`; what encoding the value throws.
    public func create<Object: Codable & Sendable>(key: String, value: Object, expires: Duration?) async throws {
        let isKept = try await values.putIfAbsent(Self.encode(value), named: key, lifetime: expires)
        guard isKept else { throw PersistError.duplicate }
    }

    /// Keeps a value in the place of any other.
    ///
    /// - Parameter expires: after how long it ends; `nil` for when the one before it would have ended, if that would.
    /// - Throws: `SessionStoreError`; what encoding the value throws.
    public func set<Object: Codable & Sendable>(key: String, value: Object, expires: Duration?) async throws {
        try await values.put(Self.encode(value), named: key, lifetime: expires)
    }

    /// The value of a key; `nil` when there is none.
    ///
    /// - Throws: `PersistError.invalidConversion` when it is of another type; `SessionStoreError`.
    public func get<Object: Codable & Sendable>(key: String, as type: Object.Type) async throws -> Object? {
        try await getWithTTL(key: key, as: type)?.object
    }

    /// The value of a key and when it ends; `nil` when there is none.
    ///
    /// - Throws: `PersistError.invalidConversion` when it is of another type; `SessionStoreError`.
    public func getWithTTL<Object: Codable & Sendable>(
        key: String, as type: Object.Type
    ) async throws -> (object: Object, ttl: Duration?)? {
        guard let (value, lifetime) = try await values.value(named: key) else { return nil }
        do {
            return (try JSONDecoder().decode(type, from: Data(value)), lifetime)
        } catch {
            throw PersistError.invalidConversion
        }
    }

    /// Removes a key. Removing one that is not there is no error.
    ///
    /// - Throws: `SessionStoreError`.
    public func remove(key: String) async throws { try await values.remove(named: key) }

    private static func encode(_ value: some Encodable) throws -> [UInt8] { Array(try JSONEncoder().encode(value)) }
}
