import AsyncHTTPClient
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle
import Synchronization

/// A small load balancer for the demo: each request goes to the next replica that answers. It knows no stickiness, so
/// that one sees the sessions being shared.
struct RoundRobinFront: Service {
    let port: Int
    /// The replicas' addresses, such as `http://127.0.0.1:8031`.
    let backends: [String]
    let logger: Logger
    var onServerRunning: @Sendable (_ port: Int) async -> Void = { _ in }

    func run() async throws {
        var settings = HTTPClient.Configuration()
        settings.redirectConfiguration = .disallow
        settings.connectionPool.retryConnectionEstablishment = false
        settings.timeout.connect = .seconds(2)
        let client = HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: settings)
        let forwarder = RequestForwarder(backends: backends, client: client, logger: logger)
        let application = Application(
            responder: CallbackResponder { (request: Request, _: BasicRequestContext) in
                await forwarder.forward(request)
            },
            configuration: .init(address: .hostname("127.0.0.1", port: port), serverName: nil),
            onServerRunning: { await onServerRunning($0.localAddress?.port ?? port) },
            logger: logger)
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await application.run())
        } catch {
            outcome = .failure(error)
        }
        try? await client.shutdown()
        try outcome.get()
    }
}

/// Sends requests on, each to the next replica in turn.
final class RequestForwarder: Sendable {
    // Until the response begins; a body may take longer.
    private static let responseTimeout = TimeAmount.seconds(60)

    private let backends: [String]
    private let client: HTTPClient
    private let logger: Logger
    private let turn = Mutex(0)

    init(backends: [String], client: HTTPClient, logger: Logger) {
        self.backends = backends
        self.client = client
        self.logger = logger
    }

    func forward(_ request: Request) async -> Response {
        guard let path = request.head.path, path.hasPrefix("/") else {
            return Response(status: .badRequest)
        }
        let first = turn.withLock { turn in
            defer { turn = (turn + 1) % backends.count }
            return turn
        }
        let body = OnceTouchedBody(request.body)
        for offset in backends.indices {
            let backend = backends[(first + offset) % backends.count]
            do {
                return try await send(request, body: body, to: backend + path)
            } catch {
                // A body that was begun can't be sent twice, and what may have been done must not be done twice.
                guard !body.wasTouched, Self.wasRefused(error) || Self.isSafe(request.method) else { break }
            }
        }
        return Response(
            status: .badGateway, headers: [.contentType: "text/plain; charset=utf-8"],
            body: .init(byteBuffer: ByteBuffer(string: "No replica answered.\n")))
    }

    private func send(_ request: Request, body: OnceTouchedBody, to url: String) async throws -> Response {
        var outgoing = HTTPClientRequest(url: url)
        outgoing.method = HTTPMethod(rawValue: request.method.rawValue)
        for field in EndToEnd.fields(of: request.headers) {
            outgoing.headers.add(name: field.name.rawName, value: field.value)
        }
        if let host = request.head.authority {
            outgoing.headers.replaceOrAdd(name: "host", value: host)
        }
        if let length = request.headers[.contentLength].flatMap({ Int64($0) }) {
            outgoing.body = .stream(body, length: .known(length))
        } else if request.headers[.transferEncoding] != nil {
            outgoing.body = .stream(body, length: .unknown)
        }
        let answer = try await client.execute(outgoing, timeout: Self.responseTimeout, logger: logger)
        var headers = HTTPFields()
        for (name, value) in answer.headers {
            if let name = HTTPField.Name(name) {
                headers.append(HTTPField(name: name, value: value))
            }
        }
        return Response(
            status: .init(code: Int(answer.status.code), reasonPhrase: answer.status.reasonPhrase),
            headers: HTTPFields(EndToEnd.fields(of: headers)), body: ResponseBody(asyncSequence: answer.body))
    }

    private static func isSafe(_ method: HTTPRequest.Method) -> Bool {
        [.get, .head, .options].contains(method)
    }

    /// Whether no connection came about, so that nothing was sent.
    private static func wasRefused(_ error: any Error) -> Bool {
        error is NIOConnectionError || error is IOError || (error as? HTTPClientError) == .connectTimeout
    }
}

/// Drops the fields that belong to one connection only (RFC 9110 §7.6.1).
enum EndToEnd {
    private static let hopByHop: Set<String> = [
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    ]

    static func fields(of fields: HTTPFields) -> [HTTPField] {
        let named = fields[values: .connection].flatMap { $0.split(separator: ",") }
            .map { $0.filter { $0 != " " && $0 != "\t" }.lowercased() }
        let dropped = hopByHop.union(named)
        return fields.filter { !dropped.contains($0.name.canonicalName) }
    }
}

/// A request's body that knows whether reading it was begun.
final class OnceTouchedBody: AsyncSequence, Sendable {
    typealias Element = ByteBuffer

    private let body: RequestBody
    private let touched = Atomic(false)

    init(_ body: RequestBody) {
        self.body = body
    }

    var wasTouched: Bool { touched.load(ordering: .acquiring) }

    func makeAsyncIterator() -> Iterator {
        Iterator(owner: self, inner: body.makeAsyncIterator())
    }

    struct Iterator: AsyncIteratorProtocol {
        private let owner: OnceTouchedBody
        private var inner: RequestBody.AsyncIterator

        fileprivate init(owner: OnceTouchedBody, inner: RequestBody.AsyncIterator) {
            self.owner = owner
            self.inner = inner
        }

        mutating func next() async throws -> ByteBuffer? {
            owner.touched.store(true, ordering: .releasing)
            return try await inner.next()
        }
    }
}
