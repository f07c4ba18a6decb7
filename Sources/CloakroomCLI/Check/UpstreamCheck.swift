import AsyncHTTPClient
import CloakroomGateway
import CloakroomOIDC
import NIOCore
import NIOHTTP1

/// Asks the API behind the gateway for `/`, without a token: any answer shows that it is there.
struct UpstreamCheck: Sendable {
    private static let timeout = TimeAmount.seconds(3)

    let url: String
    let client: HTTPClient

    func run() async -> CheckReport.Line {
        func line(_ status: String, _ detail: String, _ remedy: String? = nil) -> CheckReport.Line {
            .init(part: "upstream", name: "reachable", status: status, detail: detail, remedy: remedy)
        }
        let start = ContinuousClock.now
        do {
            var request = HTTPClientRequest(url: url.hasSuffix("/") ? url : url + "/")
            request.headers.add(name: "user-agent", value: "cloakroom-check")
            let status = try await client.execute(request, timeout: Self.timeout).status.code
            let time = (ContinuousClock.now - start) / .milliseconds(1)
            let text = "\(url) answers \(status) in \(Int(time)) ms"
            guard status >= 500 else { return line("ok", text) }
            return line("warn", text, "see the log of the API: users get this answer, too")
        } catch {
            let reason = HTTPFailure.describe(error)
            if reason.contains("too long") {
                return line(
                    "fail", "\(url) did not answer within \(Self.timeout.nanoseconds / 1_000_000_000) s",
                    "users get 504 after UPSTREAM_TIMEOUT: see whether the API hangs, and the network between here and there"
                )
            }
            let remedy =
                reason.contains("resolved")
                ? "correct the host in UPSTREAM_URL: it must be known to the DNS of the network where this runs"
                : "users get 502: start the API, or correct host and port in UPSTREAM_URL"
            return line("fail", "\(url) can't be asked: \(reason)", remedy)
        }
    }
}
