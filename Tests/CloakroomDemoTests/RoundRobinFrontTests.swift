import AsyncHTTPClient
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1
import ServiceLifecycle
import Testing

@testable import CloakroomDemo

@Suite("Demo: the round-robin front")
struct RoundRobinFrontTests {

    /// Answers with its name, and with what it saw.
    private func backend(_ name: String, _ onServerRunning: @escaping @Sendable (Int) async -> Void) -> any Service {
        let router = Router()
        router.get("/name") { _, _ in name }
        router.get("/fields") { request, _ in
            let names = request.headers.map(\.name.canonicalName).sorted().joined(separator: ",")
            return Response(
                status: .ok,
                headers: [
                    .connection: "x-hop", .setCookie: "a=1", HTTPField.Name("x-hop") ?? .via: "1",
                    .location: request.head.authority ?? "",
                ],
                body: .init(byteBuffer: ByteBuffer(string: names)))
        }
        router.get("/redirect") { _, _ in Response(status: .found, headers: [.location: "/name"]) }
        router.post("/echo") { request, _ in Response(status: .created, body: .init(asyncSequence: request.body)) }
        router.get("/fail") { _, _ in Response(status: .internalServerError) }
        return Application(
            router: router, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { await onServerRunning($0.localAddress?.port ?? 0) }, logger: quietLogger)
    }

    private func withFront(_ ports: [Int], test: (String) async throws -> Void) async throws {
        try await withService { onServerRunning in
            RoundRobinFront(
                port: 0, backends: ports.map { "http://127.0.0.1:\($0)" }, logger: quietLogger,
                onServerRunning: onServerRunning)
        } test: { port in
            try await test("http://127.0.0.1:\(port)")
        }
    }

    private func withTwoBackends(_ test: (_ front: String, _ ports: [Int]) async throws -> Void) async throws {
        try await withService {
            backend("one", $0)
        } test: { one in
            try await withService {
                backend("two", $0)
            } test: { two in
                try await withFront([one, two]) { try await test($0, [one, two]) }
            }
        }
    }

    @Test("Requests take turns")
    func turns() async throws {
        try await withTwoBackends { front, _ in
            var names: [String] = []
            for _ in 0..<4 {
                names.append(try await fetch("\(front)/name").body)
            }
            #expect(names == ["one", "two", "one", "two"] || names == ["two", "one", "two", "one"])
        }
    }

    @Test("Host and end-to-end fields pass unchanged, those of the connection don't, and redirects aren't followed")
    func fields() async throws {
        try await withTwoBackends { front, _ in
            let answer = try await fetch(
                "\(front)/fields",
                headers: [
                    "host": "app.example:8020", "connection": "x-secret-hop", "x-secret-hop": "1", "te": "trailers",
                    "cookie": "session=1", "x-csrf": "1",
                ])
            #expect(answer.headers.first(name: "location") == "app.example:8020")
            let seen = Set(answer.body.split(separator: ",").map(String.init))
            #expect(seen.isSuperset(of: ["cookie", "x-csrf"]))
            #expect(seen.isDisjoint(with: ["x-secret-hop", "te"]))
            #expect(answer.headers["set-cookie"] == ["a=1"])
            #expect(answer.headers["x-hop"].isEmpty)

            let redirect = try await fetch("\(front)/redirect")
            #expect(redirect.status == 302 && redirect.headers.first(name: "location") == "/name")
            #expect(try await fetch("\(front)/fail").status == 500)
        }
    }

    @Test("Bodies pass both ways, with a length and in chunks")
    func bodies() async throws {
        try await withTwoBackends { front, _ in
            let text = String(repeating: "0123456789", count: 200_000)
            let known = try await fetch("\(front)/echo", method: .POST, body: .bytes(ByteBuffer(string: text)))
            #expect(known.status == 201 && known.body == text)
            let parts = AsyncStream<ByteBuffer> { continuation in
                for _ in 0..<50 {
                    continuation.yield(ByteBuffer(string: String(repeating: "x", count: 10_000)))
                }
                continuation.finish()
            }
            let chunked = try await fetch("\(front)/echo", method: .POST, body: .stream(parts, length: .unknown))
            #expect(chunked.status == 201 && chunked.body.utf8.count == 500_000)
        }
    }

    @Test("A replica that refuses is skipped, with a body too; when none is there, 502")
    func skips() async throws {
        let dead = try await LoopbackPort.firstFree(from: 20_000 + Int.random(in: 0..<10_000), except: [])
        try await withService {
            backend("one", $0)
        } test: { one in
            try await withFront([dead, one]) { front in
                for _ in 0..<4 {
                    #expect(try await fetch("\(front)/name").body == "one")
                    let echo = try await fetch("\(front)/echo", method: .POST, body: .bytes(ByteBuffer(string: "hi")))
                    #expect(echo.status == 201 && echo.body == "hi")
                }
            }
        }
        try await withFront([dead]) { front in
            let answer = try await fetch("\(front)/name")
            #expect(answer.status == 502)
        }
    }
}
