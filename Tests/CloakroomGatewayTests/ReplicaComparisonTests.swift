import Cloakroom
import CloakroomRedis
import Foundation
import Testing

@testable import CloakroomGateway

@Suite struct ReplicaComparisonTests {
    private static let now = Date(timeIntervalSince1970: 1_800_000_000)

    private static func record(_ name: String, _ change: (inout ReplicaRecord) -> Void = { _ in }) -> ReplicaRecord {
        var settings = GatewaySettings()
        settings.replicaName = name
        settings.redisEnabled = true
        settings.oidcIssuer = "https://id.example.com"
        settings.oidcClientSecret = "top-secret-word"
        settings.redisURL = "redis://:top-secret-word@redis"
        var record = ReplicaRecord(settings, prefix: "session:", started: now, now: now)
        change(&record)
        return record
    }

    private static func comparison(
        _ records: [(ReplicaRecord, database: Int)], own: (inout ReplicaRecord) -> Void = { _ in }
    ) -> ReplicaComparison {
        ReplicaComparison(
            own: record("check", own), database: 0,
            announced: records.enumerated().map { number, replica in
                AnnouncedReplica(
                    id: "id-\(number)", record: replica.0.json, millisecondsLeft: 60_000, database: replica.database,
                    prefix: replica.0.prefix)
            })
    }

    private static func item(_ name: String, _ comparison: ReplicaComparison) throws -> RedisHealth.Item {
        try #require(comparison.items.first { $0.name == name })
    }

    @Test("An announcement holds no secret, and is read as it was written")
    func announcement() throws {
        let record = Self.record("web-1") { $0.keyIDs = ["0a0b0c0d"] }
        #expect(!String(decoding: record.json, as: UTF8.self).contains("top-secret-word"))
        #expect(ReplicaRecord(record.json) == record)
        #expect(record.settings["SESSION_TIMEOUT"] == "8h" && record.settings["SESSION_IDLE_TIMEOUT"] == "off")
    }

    @Test("What no replica can have written is none, and no text of it is shown that a terminal would obey")
    func foreign() {
        for text in ["", "[]", "{", #"{"replica":1}"#, #"{"replica":"\u001b[2J"}"#] {
            #expect(ReplicaRecord(Array(text.utf8)) == nil, "\(text)")
        }
        let odd = ReplicaRecord(Array(##"{"replica":"a","keys":[1],"settings":{"X":"y","PUBLIC_URL":"\u001b"}}"##.utf8))
        #expect(odd?.keyIDs == [] && odd?.settings.keys.sorted() == ["PUBLIC_URL"])
    }

    @Test("Replicas that agree are fine")
    func same() {
        let comparison = Self.comparison([(Self.record("web-1"), 0), (Self.record("web-2"), 0)])
        #expect(comparison.items.allSatisfy { $0.status == .ok }, "\(comparison.items)")
        #expect(comparison.names == ["web-1", "web-2"])
        #expect(Self.comparison([]).items.first?.status == .unknown)
    }

    struct Difference: Sendable {
        let name: String
        let status: RedisHealth.Status
        let words: String
        let change: @Sendable (inout ReplicaRecord) -> Void
    }

    private static let differences = [
        Difference(name: "store", status: .fail, words: "web-2 keeps sessions in memory") { $0.store = "memory" },
        Difference(name: "keys", status: .fail, words: "web-2 seals with 11111111, which web-1 can't open") { record in
            record.seals = true
            record.keyIDs = ["11111111"]
        },
        Difference(
            name: "settings", status: .warn, words: "SESSION_TIMEOUT: 4h (web-2), 8h (web-1, these settings)"
        ) { $0.settings["SESSION_TIMEOUT"] = "4h" },
        Difference(name: "version", status: .warn, words: "0.2.0 (web-2)") { $0.version = "0.2.0" },
        Difference(name: "clock", status: .warn, words: "web-2 is 61 s ahead") { $0.time += 61_000 },
        Difference(name: "place", status: .fail, words: "web-2 in database 0 under shop:session:") {
            $0.prefix = "shop:session:"
        },
    ]

    @Test("Each difference is told, with the replicas and the remedy", arguments: differences)
    func difference(_ one: Difference) throws {
        let comparison = Self.comparison([(Self.record("web-1"), 0), (Self.record("web-2", one.change), 0)])
        let item = try Self.item(one.name, comparison)
        #expect(item.status == one.status && item.detail.contains(one.words) && item.remedy != nil, "\(item)")
        #expect(comparison.items.allSatisfy { $0.name == one.name || $0.status == .ok }, "\(comparison.items)")
    }

    @Test("A replica in another database is told; one of another app is its own affair")
    func databases() throws {
        let one = Self.comparison([(Self.record("web-1"), 0), (Self.record("web-2"), 3)])
        #expect(try Self.item("place", one).detail.contains("web-2 in database 3"))
        let other = Self.record("shop") { $0.settings["PUBLIC_URL"] = "https://shop.example.com" }
        #expect(try Self.item("place", Self.comparison([(Self.record("web-1"), 0), (other, 3)])).status == .ok)
    }

    @Test("Two replicas of one name are told apart, and a rotation under way is fine")
    func rotation() throws {
        let old = Self.record("web") { record in
            record.seals = true
            record.keyIDs = ["aaaaaaaa", "bbbbbbbb"]
        }
        var new = old
        new.keyIDs = ["bbbbbbbb", "aaaaaaaa"]
        let comparison = Self.comparison([(old, 0), (new, 0)]) { own in
            own.seals = true
            own.keyIDs = ["bbbbbbbb", "aaaaaaaa"]
        }
        #expect(try Self.item("keys", comparison).status == .ok)
        #expect(try Self.item("announced", comparison).detail == "2: web (id-0), web (id-1)")
    }
}
