import CloakroomRedisClient
import Foundation
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

/// A server that greets like Redis and then answers every command with the same bytes.
final class HostileServer {
    private let channel: any Channel
    fileprivate let connections = Counter()

    var url: String { "redis://127.0.0.1:\(channel.localAddress?.port ?? 0)" }

    private final class Answer: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        let bytes: ByteBuffer
        let repeats: Int
        let greeting: String
        var hasGreeted = false

        init(bytes: ByteBuffer, repeats: Int, greeting: String) {
            self.bytes = bytes
            self.repeats = repeats
            self.greeting = greeting
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            if hasGreeted {
                for _ in 0..<repeats { context.write(wrapOutboundOut(bytes), promise: nil) }
                context.flush()
            } else {
                hasGreeted = true
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: greeting)), promise: nil)
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    static let greeting = "%1\r\n+proto\r\n:3\r\n+PONG\r\n-ERR no SETINFO\r\n"

    init(answering bytes: [UInt8], repeats: Int = 1, greeting: String = HostileServer.greeting) async throws {
        let (buffer, connections) = (ByteBuffer(bytes: bytes), connections)
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                connections.increment()
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        Answer(bytes: buffer, repeats: repeats, greeting: greeting))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    func close() async { try? await channel.close() }
}

extension Integration {
    @Suite struct HostileServerTests {
        private func answer(
            to bytes: String, repeats: Int = 1, within timeout: Duration = .seconds(15)
        ) async throws -> (
            error: RedisClientError?, connections: Int
        ) {
            let server = try await HostileServer(answering: Array(bytes.utf8), repeats: repeats)
            var configuration = RedisClientConfiguration(url: try RedisURL(server.url))
            configuration.commandTimeout = timeout
            let client = RedisClient(configuration: configuration, logger: silent)
            let error: RedisClientError? = await withTaskGroup(of: Void.self) { group in
                group.addTask { await client.run() }
                var caught: RedisClientError?
                do {
                    _ = try await client.send(RedisCommand("GETDEL", [.text("k")], isIdempotent: false))
                } catch {
                    caught = error as? RedisClientError
                }
                group.cancelAll()
                return caught
            }
            let connections = server.connections.value
            await server.close()
            return (error, connections)
        }

        @Test(
            "a server that breaks the protocol: the call fails, the connection is closed, nothing crashes",
            arguments: [
                "$99999999999999999999\r\n", "$-2\r\n", "*-2\r\n", "*9223372036854775807\r\n", "%1073741824\r\n",
                "$2147483647\r\n",
                String(repeating: "*1\r\n", count: 10_000), "HTTP/1.1 400 Bad Request\r\n\r\n", "\r\n",
                "$3\r\nabcdefgh",
                ":12x\r\n",
                "*1\r\n>1\r\n+x\r\n", "$?\r\n", "\u{0}\u{1}\u{2}\r\n", "+one\r\n+two\r\n+three\r\n",
            ])
        func brokenProtocol(_ bytes: String) async throws {
            let (error, _) = try await answer(to: bytes)
            // Of several replies the first is ours; the connection must still be given up for the next.
            if bytes.hasPrefix("+one") { #expect(error == nil) } else { #expect(error?.code == .connectionLost) }
        }

        @Test("an endless line, an endless array, an endless stream of pushes: memory stays bounded")
        func endless() async throws {
            let before = residentMegabytes()
            let line = try await answer(to: String(repeating: "x", count: 1_000_000), repeats: 50)
            #expect(line.error?.code == .connectionLost)
            let array = try await answer(to: "*1000000\r\n" + String(repeating: ":1\r\n", count: 10_000), repeats: 200)
            #expect(array.error != nil)
            let pushes = try await answer(
                to: String(repeating: ">2\r\n+a\r\n+b\r\n", count: 50_000), repeats: 50, within: .seconds(5))
            let code = pushes.error?.code
            #expect(code == .timeout || code == .connectionLost)
            #expect(residentMegabytes() - before < 300)
        }

        private func residentMegabytes() -> Int {
            let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
            return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 4 / 1024
        }

        @Test("a greeting that is not Redis'")
        func strangeGreeting() async throws {
            let server = try await HostileServer(answering: [], greeting: "SSH-2.0-OpenSSH_9.2\r\n")
            var configuration = RedisClientConfiguration(url: try RedisURL(server.url))
            configuration.commandTimeout = .milliseconds(300)
            // Until the first attempt to connect has ended, the reason is another.
            let client = RedisClient(configuration: configuration, logger: silent)
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await client.run() }
                await #expect(throws: Never.self) {
                    try await eventually("the reason is that the server does not speak RESP3") {
                        do {
                            _ = try await client.send(.ping)
                            return false
                        } catch let error as RedisClientError {
                            return error.reason.contains("RESP3")
                        }
                    }
                }
                group.cancelAll()
            }
            await server.close()
        }
    }
}
