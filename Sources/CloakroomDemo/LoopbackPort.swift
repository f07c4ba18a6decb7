import NIOCore
import NIOPosix

/// Finds ports on 127.0.0.1 that nobody listens on.
enum LoopbackPort {
    static func isFree(_ port: Int) async -> Bool {
        await bind(port) != nil
    }

    /// The first free port from `start` on, not one of `taken`; any free one when the next hundred are all in use.
    static func firstFree(from start: Int, except taken: Set<Int>) async throws -> Int {
        for port in start..<min(start + 100, 65_536) where !taken.contains(port) {
            if await isFree(port) {
                return port
            }
        }
        guard let port = await bind(0), !taken.contains(port) else {
            throw DemoProblem(description: "No free port was found on 127.0.0.1.")
        }
        return port
    }

    /// Listens for a moment.
    private static func bind(_ port: Int) async -> Int? {
        do {
            let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .bind(host: "127.0.0.1", port: port).get()
            let bound = channel.localAddress?.port
            try await channel.close()
            return bound
        } catch {
            return nil
        }
    }
}
