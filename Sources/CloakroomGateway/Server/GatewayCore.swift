import Cloakroom
import CloakroomHTTP
import CloakroomHTTP1
import CloakroomOIDC
import HTTPTypes
import Logging
import NIOCore
import Synchronization

/// What all connections of the gateway share, on all event loops.
///
/// It is a class, as each request looks into it many times and none should copy it.
final class GatewayCore: Sendable {
    /// The API behind `/api`.
    final class Upstream: Sendable {
        let target: UpstreamTarget
        let forwarded: ForwardedHead
        let places: UpstreamPlaces
        /// How many requests may be with it at once.
        let limit: Int
        /// How long it may take until its response begins.
        let timeout: TimeAmount

        init(_ target: UpstreamTarget, publicURL: PublicURL, settings: UpstreamSettings) {
            self.target = target
            forwarded = ForwardedHead(target: target, publicURL: publicURL)
            limit = settings.maximumConcurrent
            places = UpstreamPlaces(
                limit: settings.maximumConcurrent, perSession: settings.maximumConcurrentPerSession)
            timeout = TimeAmount(settings.timeout)
        }
    }

    let upstream: Upstream?
    let admission: Admission
    let responder: GatewayResponder
    /// The event streams of pages.
    let live: LiveSessions
    let security: SecurityFieldBytes
    let logger: Logger
    let limits: ConnectionLimits
    let connections: ConnectionCounts
    /// What ends TLS on clients' connections; `nil` over plain TCP.
    let tls: ListenerTLS?
    private let rooms = Mutex<[(loop: any EventLoop, room: NIOLoopBound<LoopRoom>)]>([])

    init(
        settings: GatewaySettings, publicURL: PublicURL, store: any GatewayStore, relyingParty: RelyingParty,
        refresher: TokenRefresher, events: SessionEvents, audit: AuditLog? = nil, logger: Logger
    ) throws {
        let responder = try GatewayResponder(
            settings: settings, publicURL: publicURL, store: store, relyingParty: relyingParty, events: events,
            audit: audit, logger: logger)
        self.responder = responder
        admission = Admission(
            store: store, refresher: refresher, events: events, publicURL: publicURL, cookies: responder.auth.cookies)
        security = SecurityFieldBytes(SecurityFields(publicURL: publicURL), replicaName: settings.replicaName)
        live = LiveSessions(store: store, events: events, limit: settings.limits.eventStreamsPerSession)
        self.logger = logger
        limits = ConnectionLimits(settings)
        tls = try ListenerTLS(settings.tls)
        connections = ConnectionCounts(
            limit: settings.limits.connections, perAddress: settings.limits.connectionsPerAddress)
        upstream = try settings.upstreamURL.map {
            Upstream(try UpstreamTarget($0), publicURL: publicURL, settings: settings.upstream)
        }
        live.listen()
    }

    /// Notes a loop that serves clients, for metrics.
    func add(_ room: NIOLoopBound<LoopRoom>, on loop: any EventLoop) {
        rooms.withLock { $0.append((loop, room)) }
    }

    /// What all loops have counted.
    func counts() async -> LoopCounts {
        var all = LoopCounts()
        for (loop, room) in rooms.withLock({ $0 }) {
            if let counts = try? await loop.submit({ room.value.counts }).get() { all.add(counts) }
        }
        return all
    }

    /// What a request is for; `nil` if there is nothing at its target.
    func route(_ head: RequestHead) -> GatewayRoute? {
        let text: String? = head.fields.withBytes { bytes in
            let path = GatewayRequest.path(head, bytes)
            guard !path.isEmpty else { return "" }
            // The path of nearly all requests need not become text.
            let isUpstream =
                upstream != nil && path.count >= 4
                && Octets.equal(bytes, path.lowerBound..<path.lowerBound + 4, exactly: "/api")
                && (path.count == 4 || bytes[path.lowerBound + 4] == UInt8(ascii: "/"))
            return isUpstream
                ? nil : String(decoding: UnsafeRawBufferPointer(rebasing: bytes[path]), as: UTF8.self)
        }
        guard let text else { return .upstream }
        return GatewayRoute(path: text[...], hasUpstream: upstream != nil)
    }

    /// Whether requests with this method are forwarded.
    func upstreamTakes(_ method: RequestHead.Method) -> Bool {
        switch method {
        case .get, .head, .post, .put, .patch, .delete, .options: true
        case .connect, .trace, .other: false
        }
    }
}
