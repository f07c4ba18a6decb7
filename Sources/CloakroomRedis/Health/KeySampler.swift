import Cloakroom
import CloakroomRedisClient
import NIOCore

/// Looks at some keys of one server, all of them if it has few.
struct KeySampler: Sendable {
    /// A sample of this many says enough, and does not keep a large server busy.
    private static let maximumSessions = 5000
    private static let keysPerStep = 1000
    /// Steps are bounded too: on a server full of other keys few of them bring any of ours.
    private static let maximumSteps = 20
    /// Of this many sessions the values are looked at and measured.
    private static let maximumValues = 200
    /// Of this many other keys.
    private static let maximumOthers = 100

    let primary: RedisPrimary
    let keys: KeySchema

    func sample() async throws -> KeySample {
        var sample = KeySample()
        var values: [String] = []
        var others: [String] = []
        var cursor = "0"
        var steps = 0
        repeat {
            let found: [String]
            (cursor, found) = try await step(after: cursor)
            sample.looked += found.count
            let sessions = found.filter { $0.hasPrefix(keys.sessionPrefix) }
            sample.sessions += sessions.count
            sample.endless += try await countEndless(sessions)
            values += sessions.prefix(Self.maximumValues - values.count)
            sample.registryPrefixes.formUnion(found.compactMap(KeySchema.sessionPrefix(ofReplicaIndex:)))
            others += found.filter { !keys.isOurs($0) }.prefix(Self.maximumOthers - others.count)
            steps += 1
        } while cursor != "0" && sample.sessions < Self.maximumSessions && steps < Self.maximumSteps
        sample.isComplete = cursor == "0"
        sample.registryPrefixes.remove(keys.sessionPrefix)
        try await look(at: values, &sample)
        await look(atOthers: others, &sample)
        return sample
    }

    private func step(after cursor: String) async throws -> (String, [String]) {
        let reply = try await primary.send(
            RedisCommand("SCAN", [.text(cursor), .text("COUNT"), .integer(Self.keysPerStep)], isIdempotent: true))
        guard let parts = reply.elements, parts.count == 2, let next = parts[0].text, let found = parts[1].elements
        else { throw RedisFactError(.failed("an unexpected reply to SCAN")) }
        return (next, found.compactMap(\.text))
    }

    private func countEndless(_ found: [String]) async throws -> Int {
        try await primary.send(pipeline: found.map { .remainingMilliseconds($0) }).count { $0 == .number(-1) }
    }

    /// The forms of these sessions and the memory that they take.
    private func look(at sessions: [String], _ sample: inout KeySample) async throws {
        for reply in try await primary.send(pipeline: sessions.map(Self.beginning)) {
            switch reply {
            case .bulk(let bytes) where bytes.readableBytes > 0:
                sample.forms[RecordForm(prefix: Array(bytes.readableBytesView)), default: 0] += 1
            case .error(let error) where error.kind == .wrongType: sample.forms[.unknown, default: 0] += 1
            default: break  // It has ended meanwhile.
            }
        }
        let sizes = try await primary.send(
            pipeline: sessions.map {
                RedisCommand("MEMORY", [.text("USAGE"), .text($0)], key: 1, isIdempotent: true)
            })
        for size in sizes.compactMap(\.integer) {
            sample.measured += 1
            sample.measuredBytes += size
        }
    }

    /// Which other keys hold sessions, by their prefixes. A user who may not read them learns nothing, and nothing fails.
    private func look(atOthers others: [String], _ sample: inout KeySample) async {
        guard let replies = try? await primary.send(pipeline: others.map(Self.beginning)) else { return }
        for (key, reply) in zip(others, replies) {
            guard case .bulk(let bytes) = reply, RecordForm.isLikelySession(prefix: Array(bytes.readableBytesView)),
                let prefix = Self.prefix(of: key)
            else { continue }
            sample.otherPrefixes[prefix, default: 0] += 1
        }
    }

    private static func beginning(of key: String) -> RedisCommand {
        RedisCommand(
            "GETRANGE", [.text(key), .integer(0), .integer(RecordForm.prefixLength - 1)], key: 0, isIdempotent: true)
    }

    /// What stands before the session's name in a key; `nil` where that can't be told from the name, which is a secret.
    static func prefix(of key: String) -> String? {
        guard let colon = key.lastIndex(of: ":") else { return nil }
        var prefix = key[...colon]
        if prefix.hasSuffix(":sha256:") { prefix = prefix.dropLast("sha256:".count) }
        guard prefix.utf8.count <= 64, prefix.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
        return String(prefix)
    }
}
