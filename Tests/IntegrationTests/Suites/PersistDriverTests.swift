import Cloakroom
import CloakroomHummingbirdRedis
import CloakroomRedis
import Foundation
import Hummingbird
import TestSupport
import Testing

private struct Thing: Codable, Sendable, Equatable {
    var name = "thing"
    var count = 1
}

@discardableResult
private func withDrivers<Result: Sendable>(
    _ count: Int = 1, url: String, prefix: String = "persist:",
    _ change: (inout RedisStoreConfiguration) -> Void = { _ in },
    _ body: @Sendable ([RedisPersistDriver]) async throws -> Result
) async throws -> Result {
    var configuration = RedisStoreConfiguration(url: try RedisURL(url), commandTimeout: .seconds(5))
    change(&configuration)
    let drivers = (0..<count).map { [configuration] _ in
        RedisPersistDriver(configuration: configuration, keyPrefix: prefix, logger: silent)
    }
    return try await withThrowingTaskGroup(of: Void.self) { group in
        for driver in drivers { group.addTask { try await driver.run() } }
        let result = try await body(drivers)
        group.cancelAll()
        return result
    }
}

extension Integration {
    /// Hummingbird's key/value store over our client.
    @Suite struct PersistDriverTests {
        @Test("Values are kept, replaced and removed, seen by every process, under keys that are no sessions'")
        func values() async throws {
            try await RedisServer.run { server in
                try await withDrivers(2, url: server.url) { drivers in
                    let (one, other) = (drivers[0], drivers[1])
                    #expect(try await one.get(key: "a", as: Thing.self) == nil)
                    try await one.set(key: "a", value: Thing(count: 7))
                    #expect(try await other.get(key: "a", as: Thing.self) == Thing(count: 7))
                    try await other.set(key: "a", value: Thing(name: "ä\u{0}\"", count: 8))
                    #expect(try await one.get(key: "a", as: Thing.self) == Thing(name: "ä\u{0}\"", count: 8))
                    // Single values too, and keys of any text.
                    try await one.set(key: "schlüssel *?[x]\r\n", value: "text")
                    #expect(try await other.get(key: "schlüssel *?[x]\r\n", as: String.self) == "text")
                    try await one.set(key: "n", value: 4711)
                    #expect(try await other.get(key: "n", as: Int.self) == 4711)
                    #expect(try server.cli("GET", "persist:n") == "4711")
                    #expect(try server.cli("KEYS", "session:*").isEmpty)
                    try await other.remove(key: "a")
                    try await other.remove(key: "a")
                    #expect(try await one.get(key: "a", as: Thing.self) == nil)
                }
            }
        }

        @Test("Of 64 that create one key at once, one does; the others are told of the duplicate")
        func create() async throws {
            try await RedisServer.run { server in
                try await withDrivers(2, url: server.url) { drivers in
                    let winners = try await withThrowingTaskGroup(of: Int?.self) { group in
                        for number in 0..<64 {
                            group.addTask {
                                do {
                                    try await drivers[number % 2].create(key: "k", value: number)
                                    return number
                                } catch let error as PersistError {
                                    #expect(error == .duplicate)
                                    return nil
                                }
                            }
                        }
                        return try await group.reduce(into: [Int]()) { if let number = $1 { $0.append(number) } }
                    }
                    #expect(winners.count == 1)
                    #expect(try await drivers[0].get(key: "k", as: Int.self) == winners.first)
                    try await drivers[0].remove(key: "k")
                    try await drivers[1].create(key: "k", value: 1)
                }
            }
        }

        @Test("A value ends when it should; replacing it without a time keeps its end, and one without an end has none")
        func expiry() async throws {
            try await RedisServer.run { server in
                try await withDrivers(url: server.url) { drivers in
                    let driver = drivers[0]
                    try await driver.set(key: "k", value: 1, expires: .seconds(100))
                    let first = try #require(try await driver.getWithTTL(key: "k", as: Int.self)?.ttl)
                    #expect(first > .seconds(90) && first <= .seconds(100))
                    try await driver.set(key: "k", value: 2)
                    let kept = try #require(try await driver.getWithTTL(key: "k", as: Int.self))
                    #expect(kept.object == 2)
                    let left = try #require(kept.ttl)
                    #expect(left > .seconds(90) && left <= first)
                    try await driver.set(key: "k", value: 3, expires: .seconds(1000))
                    let longer = try #require(try await driver.getWithTTL(key: "k", as: Int.self)?.ttl)
                    #expect(longer > .seconds(900))

                    try await driver.create(key: "for ever", value: 1)
                    let forever = try #require(try await driver.getWithTTL(key: "for ever", as: Int.self))
                    #expect(forever.object == 1 && forever.ttl == nil)
                    #expect(try server.cli("TTL", "persist:for ever") == "-1")

                    try await driver.create(key: "short", value: 1, expires: .milliseconds(50))
                    try await eventually("it has ended") { try await driver.get(key: "short", as: Int.self) == nil }
                    try await driver.create(key: "short", value: 2, expires: .zero)
                    try await driver.set(key: "long", value: 1, expires: .seconds(Int64.max / 4))
                    #expect(try await driver.getWithTTL(key: "long", as: Int.self)?.object == 1)
                }
            }
        }

        @Test("What is of another type, too large or no value of ours is an error, and nothing is lost")
        func badValues() async throws {
            try await RedisServer.run { server in
                try await withDrivers(url: server.url) { drivers in
                    let driver = drivers[0]
                    try await driver.set(key: "k", value: "text")
                    await #expect(throws: PersistError.invalidConversion) {
                        try await driver.get(key: "k", as: Thing.self)
                    }
                    let large = String(repeating: "x", count: 1 << 20)
                    await #expect { try await driver.set(key: "k", value: large) } throws: {
                        ($0 as? SessionStoreError)?.code == .tooLarge
                    }
                    for key in ["", String(repeating: "k", count: 513)] {
                        await #expect(throws: SessionStoreError.self) { try await driver.set(key: key, value: 1) }
                        await #expect(throws: SessionStoreError.self) { try await driver.get(key: key, as: Int.self) }
                        await #expect(throws: SessionStoreError.self) { try await driver.remove(key: key) }
                    }
                    #expect(try await driver.get(key: "k", as: String.self) == "text")
                    try server.cli("LPUSH", "persist:list", "x")
                    await #expect(throws: SessionStoreError.self) { try await driver.get(key: "list", as: Int.self) }
                    try server.cli("SETRANGE", "persist:huge", "2000000", "x")
                    await #expect(throws: SessionStoreError.self) { try await driver.get(key: "huge", as: String.self) }
                    #expect(try await driver.get(key: "k", as: String.self) == "text", "the connection is still good")
                }
            }
        }

        @Test("R42: a Redis that is away is an error of the store, and values are there when it is back")
        func outage() async throws {
            try await RedisServer.run { server in
                try await withDrivers(url: server.url, { $0.commandTimeout = .milliseconds(500) }) { drivers in
                    let driver = drivers[0]
                    try await driver.set(key: "k", value: 1)
                    server.pause()
                    await #expect { try await driver.get(key: "k", as: Int.self) } throws: {
                        ($0 as? SessionStoreError)?.code == .unavailable
                    }
                    server.resume()
                    try await eventually("values are read again") {
                        (try? await driver.get(key: "k", as: Int.self)) == 1
                    }
                }
            }
        }

        @Test("A cluster holds the values of all slots")
        func cluster() async throws {
            try await ClusterServers.run { cluster in
                try await withDrivers(url: cluster.url) { drivers in
                    for number in 0..<200 {
                        try await drivers[0].create(key: "k\(number)", value: number, expires: .seconds(600))
                    }
                    for number in 0..<200 {
                        let found = try await drivers[0].getWithTTL(key: "k\(number)", as: Int.self)
                        #expect(found?.object == number && found?.ttl != nil)
                    }
                    for number in 0..<200 { try await drivers[0].remove(key: "k\(number)") }
                    #expect(try await drivers[0].get(key: "k0", as: Int.self) == nil)
                }
            }
        }

        @Test("With replicas to wait for, a value that too few have confirmed is reported")
        func notReplicated() async throws {
            try await RedisServer.run { server in
                let change: (inout RedisStoreConfiguration) -> Void = {
                    $0.waitReplicas = 1
                    $0.waitTimeout = .milliseconds(50)
                }
                try await withDrivers(url: server.url, change) { drivers in
                    await #expect { try await drivers[0].set(key: "k", value: 1) } throws: {
                        ($0 as? SessionStoreError)?.code == .notReplicated
                    }
                }
            }
        }

        @Test("Values must not be named as sessions are: that ends the program")
        func prefixes() async {
            await #expect(processExitsWith: .failure) {
                let configuration = RedisStoreConfiguration(url: try RedisURL("redis://127.0.0.1:1/0"))
                _ = RedisPersistDriver(configuration: configuration, keyPrefix: "session:mine:", logger: silent)
            }
        }
    }
}
