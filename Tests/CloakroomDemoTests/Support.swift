import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import ServiceLifecycle
import Synchronization
import Testing

let quietLogger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// What was said, line by line.
final class Transcript: Sendable {
    private let stored = Mutex<[String]>([])

    var lines: [String] { stored.withLock { $0 } }

    func say(_ line: String) {
        stored.withLock { $0.append(line) }
    }

    func contains(_ text: String) -> Bool {
        lines.contains { $0.contains(text) }
    }
}

/// Runs a service that tells its port, for the length of a test.
func withService(
    _ make: (@escaping @Sendable (Int) async -> Void) throws -> any Service,
    test: (_ port: Int) async throws -> Void
) async throws {
    let (ports, continuation) = AsyncStream<Int>.makeStream()
    let service = try make { port in
        continuation.yield(port)
        continuation.finish()
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
            defer { continuation.finish() }
            try await service.run()
        }
        var iterator = ports.makeAsyncIterator()
        let port = try #require(await iterator.next())
        try await test(port)
        group.cancelAll()
        try? await group.waitForAll()
    }
}

struct Answer: Sendable {
    let status: UInt
    let headers: HTTPHeaders
    let body: String
}

func fetch(
    _ url: String, method: HTTPMethod = .GET, headers: HTTPHeaders = [:], body: HTTPClientRequest.Body? = nil
) async throws -> Answer {
    var request = HTTPClientRequest(url: url)
    request.method = method
    request.headers = headers
    request.body = body
    let response = try await noRedirects.execute(request, timeout: .seconds(20))
    let text = String(buffer: try await response.body.collect(upTo: 1 << 24))
    return Answer(status: response.status.code, headers: response.headers, body: text)
}

/// One client for all tests; it is never shut down, like the shared one.
private let noRedirects: HTTPClient = {
    var configuration = HTTPClient.Configuration()
    configuration.redirectConfiguration = .disallow
    return HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: configuration)
}()

func isAlive(_ pid: Int32) -> Bool {
    kill(pid, 0) == 0
}
