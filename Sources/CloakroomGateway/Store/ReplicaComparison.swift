import Cloakroom
package import CloakroomRedis

/// Says in what the replicas that share a Redis differ, from each other and from the settings at hand.
package struct ReplicaComparison: Sendable {
    package typealias Item = RedisHealth.Item

    private struct Replica {
        let record: ReplicaRecord
        let database: Int
        /// By how many seconds its clock is ahead of ours.
        let skew: Double
        /// As it is called here: two of one name are told apart by the beginning of their IDs.
        let name: String
    }

    private static let ownName = "these settings"

    private let own: ReplicaRecord
    private let database: Int
    private let here: [Replica]
    private let elsewhere: [Replica]

    /// - Parameters:
    ///   - own: what a replica with the settings at hand would say, at this moment.
    ///   - database: the number of the database in `REDIS_URL`.
    ///   - announced: all that were found on the server.
    ///   - lifetime: how long an announcement lives, in milliseconds: what is left of it tells its age.
    package init(own: ReplicaRecord, database: Int, announced: [AnnouncedReplica], lifetime: Int = 60_000) {
        self.own = own
        self.database = database
        let read = announced.compactMap { replica in ReplicaRecord(replica.record).map { (replica, $0) } }
        let counts = read.reduce(into: [:] as [String: Int]) { $0[$1.1.name, default: 0] += 1 }
        let replicas = read.map { replica, record in
            let age = max(0, lifetime - replica.millisecondsLeft)
            let name = counts[record.name, default: 0] > 1 ? "\(record.name) (\(replica.id.prefix(6)))" : record.name
            return (
                Replica(
                    record: record, database: replica.database, skew: Double(record.time + age - own.time) / 1000,
                    name: name), isHere: replica.database == database && replica.prefix == own.prefix
            )
        }.sorted { $0.0.name < $1.0.name }
        here = replicas.filter(\.isHere).map(\.0)
        // Another app may share the server; whoever serves the same public URL should share the sessions.
        elsewhere = replicas.filter { !$0.isHere }.map(\.0).filter {
            $0.record.settings["PUBLIC_URL"] == own.settings["PUBLIC_URL"]
        }
    }

    /// The names that replicas here answer by.
    package var names: Set<String> { Set(here.map(\.record.name)) }
    /// Whether any replica here keeps sessions in memory.
    package var hasMemory: Bool { here.contains { $0.record.store == "memory" } }

    package var items: [Item] { [announced, store, place, keys, settings, version, clock] }

    private var announced: Item {
        guard !here.isEmpty else {
            return Item(
                "announced", .unknown,
                "none uses this database and prefix: none runs, or they use another Redis (see REDIS_URL on each)")
        }
        let list = here.prefix(20).map(\.name).joined(separator: ", ") + (here.count > 20 ? ", …" : "")
        return Item("announced", .ok, "\(here.count): \(list)")
    }

    private var store: Item {
        let inMemory = here.filter { $0.record.store == "memory" }
        let shared = here.count - inMemory.count
        guard !inMemory.isEmpty, here.count > 1 || own.store != "memory" else {
            return Item("store", .ok, "no replica keeps sessions to itself")
        }
        let names = Self.list(inMemory)
        return Item(
            "store", .fail,
            "\(names) \(inMemory.count == 1 ? "keeps" : "keep") sessions in memory, where no other replica sees them"
                + (shared > 0 ? "; \(shared) keep them in Redis" : ""),
            remedy: "set REDIS_ENABLED=true on every replica")
    }

    private var place: Item {
        guard !elsewhere.isEmpty else { return Item("place", .ok, "no replica looks elsewhere on this server") }
        let list = elsewhere.prefix(10).map { "\($0.name) in database \($0.database) under \($0.record.prefix)" }
        return Item(
            "place", .fail,
            "\(list.joined(separator: "; ")), and these settings say database \(database) under \(own.prefix)",
            remedy: "set the same REDIS_URL, with the database, and the same REDIS_KEY_PREFIX on every replica")
    }

    private var keys: Item {
        let all = here.filter { $0.record.store != "memory" }.map { ($0.name, $0.record) } + [(Self.ownName, own)]
        var problems: [String] = []
        for (name, record) in all where record.seals {
            guard let key = record.keyIDs.first else { continue }
            for (other, reader) in all where !reader.keyIDs.contains(key) {
                let verb = name == Self.ownName ? "seal" : "seals"
                problems.append("\(name) \(verb) with \(key), which \(other) can't open")
            }
        }
        guard problems.isEmpty else {
            return Item(
                "keys", .fail, problems.prefix(5).joined(separator: "; "),
                remedy:
                    "give every replica the same SESSION_KEYS; to rotate: append the new key everywhere, then put it first"
            )
        }
        let rings = Set(all.map { $0.1.keyIDs })
        return Item(
            "keys", .ok,
            rings.count > 1 ? "they differ, and each can open what the others seal" : "the same, or none, everywhere")
    }

    private var settings: Item {
        let all = here.map { ($0.name, $0.record) } + [(Self.ownName, own)]
        let differing = ReplicaRecord.shared.compactMap { setting -> String? in
            // A replica of another version may not tell.
            let told = all.filter { $0.1.settings[setting] != nil }
            let byValue = Dictionary(grouping: told) { ($0.1.settings[setting] ?? nil) ?? "off" }
            guard byValue.count > 1 else { return nil }
            let values = byValue.sorted { $0.key < $1.key }.map { value, who in
                "\(value) (\(who.prefix(5).map(\.0).joined(separator: ", ")))"
            }
            return "\(setting): \(values.joined(separator: ", "))"
        }
        guard !differing.isEmpty else { return Item("settings", .ok, "those that must agree do") }
        return Item(
            "settings", .warn, differing.joined(separator: "; "),
            remedy: "set the same value on every replica, and restart those that differ")
    }

    private var version: Item {
        let versions = Dictionary(grouping: here) { $0.record.version }
        guard versions.count > 1 else {
            return Item("version", .ok, versions.keys.first.map { "all \($0)" } ?? "no replica to ask")
        }
        let list = versions.sorted { $0.key < $1.key }.map { "\($0.key) (\(Self.list($0.value)))" }
        return Item(
            "version", .warn, list.joined(separator: ", "),
            remedy: "fine in a rolling deploy; if none is under way, bring all to one version")
    }

    private var clock: Item {
        guard let worst = here.max(by: { abs($0.skew) < abs($1.skew) }) else {
            return Item("clock", .ok, "no replica to ask")
        }
        let seconds = Int(min(abs(worst.skew), 1e9))
        guard abs(worst.skew) > 5 else { return Item("clock", .ok, "all within 5 s of the one here") }
        return Item(
            "clock", .warn,
            "that of \(worst.name) is \(seconds) s \(worst.skew > 0 ? "ahead of" : "behind") the one here",
            remedy: "let NTP set the clocks of all machines: sessions and tokens end by the clock of each replica")
    }

    private static func list(_ replicas: [Replica]) -> String {
        replicas.prefix(10).map(\.name).joined(separator: ", ")
    }
}
