import Cloakroom
import CloakroomRedisClient
import NIOCore

extension RedisSessionStore {
    public func readRecord(key: String) async throws -> [UInt8]? {
        switch try await calls.send(.get(keys.oneTimeRecord(key))) {
        case .bulk(let buffer): return Array(buffer.readableBytesView)
        case .null: return nil
        default: throw SessionStoreError(.rejected, reason: "an unexpected reply to GET")
        }
    }
}
