import CloakroomHTTP
import HTTPTypes

/// What a request of the gateway is for, by its path.
enum GatewayRoute: Equatable, Sendable {
    case start, health, readiness, upstream, events
    case auth(AuthEndpoint)
    case asset(Asset)

    /// - Parameter hasUpstream: whether there is an upstream for `/api`.
    init?(path: Substring, hasUpstream: Bool) {
        switch path {
        case "/": self = .start
        case "/healthz": self = .health
        case "/readyz": self = .readiness
        case "/auth/events": self = .events
        default:
            if hasUpstream, path == "/api" || path.hasPrefix("/api/") {
                self = .upstream
            } else if let endpoint = AuthEndpoint(path: path) {
                self = .auth(endpoint)
            } else if let asset = Asset(rawValue: String(path)) {
                self = .asset(asset)
            } else {
                return nil
            }
        }
    }

    /// The route in the log.
    var name: String {
        switch self {
        case .start: "/"
        case .health: "/healthz"
        case .readiness: "/readyz"
        case .upstream: "/api/**"
        case .events: "/auth/events"
        case .auth(let endpoint): endpoint.path
        case .asset(let asset): asset.rawValue
        }
    }

    /// The largest body that it looks at, in bytes; 0 where bodies are of no interest.
    var maximumBody: Int {
        guard case .auth(let endpoint) = self else { return 0 }
        return endpoint.maximumBody
    }

    /// The methods that it serves.
    var methods: [HTTPRequest.Method] {
        switch self {
        case .start, .health, .readiness, .asset: [.get, .head]
        case .auth(let endpoint): endpoint.methods
        case .events: [.get]
        case .upstream: [.get, .head, .post, .put, .patch, .delete, .options]
        }
    }
}
