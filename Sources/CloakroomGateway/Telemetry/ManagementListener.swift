import CloakroomHTTP
import HTTPTypes
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle

/// Serves `/metrics`, `/healthz` and `/readyz` with reasons on an address of its own, which the public must not reach.
///
/// It stops after the public listener, so that the end of the last requests can still be watched. What one client can hold here
/// is bounded too: it may be reachable by more than the one that is meant.
struct ManagementListener: Service {
    /// How many connections there may be at once.
    static let mostConnections = 64
    private static let setting = "MANAGEMENT_ADDRESS"
    /// How long a connection may do nothing, and an answer may take.
    static let patience = TimeAmount.seconds(15)

    let address: ListenAddress
    let group: any EventLoopGroup
    let logger: Logger
    let answers: ManagementAnswers
    let onListening: @Sendable (_ port: Int) async -> Void

    func run() async throws {
        let counts = ConnectionCounts(limit: Self.mostConnections, perAddress: nil)
        let answers = answers
        let server: any Channel
        do {
            server = try await ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 64)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        guard counts.add(nil) == nil else { throw ConnectionStart.Refused() }
                        channel.closeFuture.whenComplete { _ in counts.remove(nil) }
                        let pipeline = channel.pipeline.syncOperations
                        try pipeline.addHandler(IdleStateHandler(allTimeout: Self.patience))
                        try pipeline.configureHTTPServerPipeline()
                        try pipeline.addHandler(ManagementHandler(answers: answers))
                    }
                }
                .bind(host: address.host, port: address.port).get()
        } catch let error as IOError {
            let reason = error.errnoCode == EADDRINUSE ? "the address is in use" : "\(error)"
            throw GatewayError.cannotListen(
                host: address.host, port: address.port, reason: reason, setting: Self.setting)
        } catch is SocketAddressError.UnknownHost {
            throw GatewayError.cannotListen(
                host: address.host, port: address.port, reason: "there is no such address", setting: Self.setting)
        }
        let port = server.localAddress?.port ?? 0
        logger.info(
            "Metrics and health are on \(address.host.contains(":") ? "[\(address.host)]" : address.host):\(port)")
        await onListening(port)
        try? await gracefulShutdown()
        try? await server.close()
    }
}

/// Answers one request after the other; pipelining is in the hands of NIO's handler before it.
private final class ManagementHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let answers: ManagementAnswers
    private var head: HTTPRequestHead?

    init(answers: ManagementAnswers) { self.answers = answers }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        // Nothing here takes a body.
        case .body: break
        case .end:
            guard let head else { return }
            self.head = nil
            answer(head, context)
        }
    }

    private func answer(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let answers = answers
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        let (method, uri) = (head.method, head.uri)
        let accept = head.headers[canonicalForm: "accept"].joined(separator: ",")
        let keepsAlive = head.isKeepAlive
        Task {
            let answer =
                method == .GET || method == .HEAD
                ? await answers.answer(uri, accept: accept) : .methodNotAllowed([.get, .head])
            bound.eventLoop.execute {
                bound.value.handler.write(answer, isHead: method == .HEAD, keepsAlive, bound.value.context)
            }
        }
    }

    private func write(_ answer: HTTPAnswer, isHead: Bool, _ keepsAlive: Bool, _ context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        var headers = HTTPHeaders(answer.headers.map { ($0.name.rawName, $0.value) })
        headers.replaceOrAdd(name: "Content-Length", value: "\(answer.body.count)")
        headers.replaceOrAdd(name: "X-Content-Type-Options", value: "nosniff")
        if !keepsAlive { headers.replaceOrAdd(name: "Connection", value: "close") }
        context.write(
            wrapOutboundOut(
                .head(.init(version: .http1_1, status: .init(statusCode: answer.status.code), headers: headers))),
            promise: nil)
        if !isHead { context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: answer.body)))), promise: nil) }
        let promise = keepsAlive ? nil : context.eventLoop.makePromise(of: Void.self)
        promise?.futureResult.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: promise)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
