import Cloakroom
import CloakroomRedisClient

extension RedisSessionStore: SessionEstimate {
    /// How many keys of each server are looked at.
    private static let sample = 1000

    /// The number of keys (`DBSIZE`), by the share that sessions have in a sample of them. Exact where the sample is all.
    package func estimatedSessionCount() async throws -> Int {
        var sum = 0
        for server in try await RedisCalls.translatingErrors({ try await calls.client.primaries() }) {
            let scan = RedisCommand(
                "SCAN", [.text("0"), .text("COUNT"), .integer(Self.sample)], isIdempotent: true)
            let replies = try await RedisCalls.translatingErrors {
                try await server.send(pipeline: [RedisCommand("DBSIZE", isIdempotent: true), scan])
            }
            for case .error(let error) in replies { throw RedisFailure.storeError(error) }
            guard case .number(let size) = replies[0], let parts = replies[1].elements, parts.count == 2,
                let found = parts[1].elements
            else { throw SessionStoreError(.rejected, reason: "an unexpected reply to SCAN") }
            let sessions = found.count { $0.text.flatMap { keys.name(ofSessionKey: $0) } != nil }
            if parts[0].text == "0" {
                sum += sessions
            } else if !found.isEmpty {
                sum += Int((Double(size) * Double(sessions) / Double(found.count)).rounded())
            }
        }
        return sum
    }
}
