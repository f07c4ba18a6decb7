import Cloakroom
import CloakroomRedisClient

/// A walk over the keys of all servers, a stretch at a time (`SCAN`): it holds no server up, and can be left and taken up
/// again by its cursor.
struct SessionWalk {
    private let keys: KeySchema
    private let pattern: String
    /// The servers that are still to be walked, the current one first.
    private var servers: [RedisPrimary]
    /// Where to go on in the current one.
    private var position: String

    /// - Throws: ``SessionStoreError`` when the cursor is none of this store's, or its server is gone.
    init(_ cursor: SessionPage.Cursor?, client: RedisClient, keys: KeySchema, pattern: String? = nil) async throws {
        self.keys = keys
        self.pattern = pattern ?? keys.sessionPattern
        let all = try await client.primaries().sorted { $0.id < $1.id }
        guard let cursor else {
            servers = all
            position = "0"
            return
        }
        let unknown = SessionStoreError(.rejected, reason: "the cursor is no longer valid; start again without one")
        guard cursor.text.utf8.count <= 300, let separator = cursor.text.lastIndex(of: "/") else { throw unknown }
        position = String(cursor.text[cursor.text.index(after: separator)...])
        let id = cursor.text[..<separator]
        guard UInt64(position) != nil, let index = all.firstIndex(where: { $0.id == id }) else { throw unknown }
        servers = Array(all[index...])
    }

    /// Where to go on; `nil` at the end.
    var cursor: SessionPage.Cursor? { servers.first.map { SessionPage.Cursor("\($0.id)/\(position)") } }

    /// The names of the next stretch, which may be none; `nil` at the end.
    ///
    /// - Parameter count: about how many keys to look at.
    mutating func next(count: Int) async throws -> [RecordName]? {
        try await nextKeys(count: count)?.compactMap { keys.name(ofSessionKey: $0) }
    }

    mutating func nextKeys(count: Int) async throws -> [String]? {
        guard let server = servers.first else { return nil }
        let command = RedisCommand.scan(cursor: position, pattern: pattern, count: count)
        let reply = try await RedisCalls.translatingErrors { try await server.send(command) }
        guard let parts = reply.elements, parts.count == 2, let next = parts[0].text, let found = parts[1].elements
        else { throw SessionStoreError(.rejected, reason: "an unexpected reply to SCAN") }
        position = next
        if next == "0" { servers.removeFirst() }
        return found.compactMap(\.text)
    }
}
