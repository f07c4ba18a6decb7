import Cloakroom
import CloakroomHTTP
import HTTPTypes

/// What the management listener answers.
struct ManagementAnswers: Sendable {
    let metrics: MetricsPage
    let health: HealthAnswers

    /// - Parameters:
    ///   - uri: the request's target.
    ///   - accept: its field `Accept`.
    func answer(_ uri: String, accept: String) async -> HTTPAnswer {
        let parts = uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        switch parts.first {
        case "/healthz": return .json(["status": "ok"])
        case "/readyz": return await health.readiness(tellsWhy: true)
        case "/metrics":
            let format = MetricsText.Format(accept: accept)
            let isExact = parts.dropFirst().first?.split(separator: "&").contains("sessions=exact") ?? false
            return HTTPAnswer(
                status: .ok, headers: [.contentType: format.mediaType, .cacheControl: "no-store"],
                body: Array(await metrics.text(format, isExact: isExact).utf8))
        default: return .problem("not_found", status: .notFound)
        }
    }
}
