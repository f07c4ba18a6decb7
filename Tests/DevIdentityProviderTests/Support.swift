import AsyncHTTPClient
import Crypto
import DevIdentityProvider
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

/// A provider that runs on a free port for one test, and a browser's worth of cookies.
struct RunningProvider: Sendable {
    static let redirectURI = "http://localhost:9999/auth/callback"
    static let afterLogout = "http://localhost:9999/"
    static let secret = "s3cret with +&: signs"

    let base: String
    let clock: TestClock

    static func with(
        path: String = "", _ change: (inout DevIdentityProvider.Configuration) -> Void = { _ in },
        test: @escaping @Sendable (RunningProvider) async throws -> Void
    ) async throws {
        let clock = TestClock()
        var configuration = DevIdentityProvider.Configuration(
            port: 0,
            clients: [
                .init(
                    id: "app", secret: secret, redirectURIs: [redirectURI], postLogoutRedirectURIs: [afterLogout]),
                .init(id: "public", secret: nil, redirectURIs: ["http://localhost:9998/cb?keep=1"]),
            ])
        configuration.wrongPasswordDelay = .milliseconds(1)
        configuration.now = { clock.now }
        change(&configuration)
        let (ports, continuation) = AsyncStream<Int>.makeStream()
        let provider = try DevIdentityProvider(configuration: configuration, logger: quietLogger) { port in
            continuation.yield(port)
            continuation.finish()
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await provider.run()
                continuation.finish()
            }
            var iterator = ports.makeAsyncIterator()
            let port = try #require(await iterator.next())
            try await test(RunningProvider(base: "http://localhost:\(port)\(path)", clock: clock))
            group.cancelAll()
            try? await group.waitForAll()
        }
    }
}

let quietLogger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// A clock that a test moves by hand.
final class TestClock: Sendable {
    private let offset = Mutex(TimeInterval(0))

    var now: Date { Date().addingTimeInterval(offset.withLock { $0 }) }

    func advance(by seconds: TimeInterval) {
        offset.withLock { $0 += seconds }
    }
}

/// A browser that follows nothing by itself and keeps its cookies.
final class Browser: Sendable {
    struct Answer: Sendable {
        let status: UInt
        let headers: HTTPHeaders
        let body: String

        /// Where it redirects to, and with which parameters.
        var redirect: (address: String, parameters: [String: String])? {
            guard let location = headers.first(name: "location"), let parts = URLComponents(string: location) else {
                return nil
            }
            var parameters: [String: String] = [:]
            for item in parts.queryItems ?? [] {
                parameters[item.name] = item.value
            }
            return (String(location.prefix { $0 != "?" }), parameters)
        }

        /// The value of a hidden field, as the browser would send it.
        func hidden(_ name: String) -> String? {
            guard let start = body.range(of: "name=\"\(name)\" value=\"") else { return nil }
            let value = body[start.upperBound...].prefix { $0 != "\"" }
            return String(value).replacing("&quot;", with: "\"").replacing("&#39;", with: "'").replacing(
                "&lt;", with: "<"
            )
            .replacing("&gt;", with: ">").replacing("&amp;", with: "&")
        }

        func json() throws -> [String: any Sendable] {
            let object = try JSONSerialization.jsonObject(with: Data(body.utf8))
            return try #require(object as? [String: any Sendable])
        }
    }

    private let cookies = Mutex<[String: String]>([:])

    func cookie(_ name: String) -> String? { cookies.withLock { $0[name] } }
    func setCookie(_ name: String, _ value: String?) { cookies.withLock { $0[name] = value } }

    func get(_ url: String, headers: HTTPHeaders = [:]) async throws -> Answer {
        try await send(HTTPClientRequest(url: url), headers: headers)
    }

    func post(_ url: String, form: [(String, String)], headers: HTTPHeaders = [:]) async throws -> Answer {
        var request = HTTPClientRequest(url: url)
        request.method = .POST
        request.body = .bytes(ByteBuffer(string: encode(form)))
        request.headers.add(name: "content-type", value: "application/x-www-form-urlencoded")
        return try await send(request, headers: headers)
    }

    private func send(_ request: HTTPClientRequest, headers: HTTPHeaders) async throws -> Answer {
        var request = request
        request.headers.add(contentsOf: headers)
        let jar = cookies.withLock { $0 }
        if !jar.isEmpty {
            request.headers.add(name: "cookie", value: jar.map { "\($0)=\($1)" }.joined(separator: "; "))
        }
        let response = try await noRedirects.execute(request, timeout: .seconds(20))
        let body = String(buffer: try await response.body.collect(upTo: 1 << 20))
        for line in response.headers["set-cookie"] {
            let pair = line.prefix { $0 != ";" }.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = pair.count == 2 && !pair[1].isEmpty ? String(pair[1]) : nil
            cookies.withLock { $0[String(pair[0])] = value }
        }
        return Answer(status: response.status.code, headers: response.headers, body: body)
    }
}

/// One client for all tests; it is never shut down, like the shared one.
let noRedirects: HTTPClient = {
    var configuration = HTTPClient.Configuration()
    configuration.redirectConfiguration = .disallow
    return HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: configuration)
}()

func encode(_ pairs: [(String, String)]) -> String {
    pairs.map { "\(escape($0))=\(escape($1))" }.joined(separator: "&")
}

func escape(_ text: String) -> String {
    text.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
}

func base64URL(_ data: some Sequence<UInt8>) -> String {
    Data(data).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
}

/// The claims of a token, unchecked.
func claims(_ token: String) throws -> [String: any Sendable] {
    try part(token, 1)
}

func header(_ token: String) throws -> [String: any Sendable] {
    try part(token, 0)
}

private func part(_ token: String, _ index: Int) throws -> [String: any Sendable] {
    let parts = token.split(separator: ".")
    try #require(parts.count == 3)
    var text = parts[index].replacing("-", with: "+").replacing("_", with: "/")
    text += String(repeating: "=", count: (4 - text.count % 4) % 4)
    let data = try #require(Data(base64Encoded: String(text)))
    return try #require(try JSONSerialization.jsonObject(with: data) as? [String: any Sendable])
}
