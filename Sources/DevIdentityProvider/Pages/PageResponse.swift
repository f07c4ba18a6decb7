import Crypto
import HTTPTypes
import Hummingbird

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension Response {
    /// A page that runs no script, can't be framed and is never stored.
    ///
    /// - Parameter formTarget: where a form on the page leads in the end. A browser holds a form's redirects to the
    ///   policy too, so the application that gets the code must be named.
    static func page(_ html: HTML, status: HTTPResponse.Status = .ok, formTarget: String? = nil) -> Response {
        var response = Response(
            status: status, headers: [.contentType: "text/html; charset=utf-8"],
            body: .init(byteBuffer: ByteBuffer(string: html.text)))
        let local = ["'self'", "http://localhost:*", "http://127.0.0.1:*"]
        let formAction = local + [formTarget.flatMap(origin)].compactMap { $0 }
        response.headers[.contentSecurityPolicy] =
            "default-src 'none'; style-src 'sha256-\(styleHash)'; base-uri 'none'; frame-ancestors 'none'; "
            + "form-action \(formAction.joined(separator: " "))"
        return response
    }

    static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Response(
            status: status, headers: [.contentType: "application/json"],
            body: .init(byteBuffer: ByteBuffer(bytes: try encoder.encode(value))))
    }

    /// Sends the browser on with GET, whatever it came with.
    static func seeOther(_ location: String) -> Response {
        Response(status: .seeOther, headers: [.location: location])
    }

    private static let styleHash = Data(SHA256.hash(data: Array(Pages.style.utf8))).base64EncodedString()

    /// `scheme://host:port` of a registered address, unless it has characters that a policy can't hold.
    private static func origin(_ uri: String) -> String? {
        let parts = uri.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count >= 3, parts[1].isEmpty else { return nil }
        let origin = "\(parts[0])//\(parts[2])"
        return origin.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ";") && $0 != UInt8(ascii: ",") }
            ? origin : nil
    }
}

/// Puts the headers on that all answers have.
struct SecurityHeaders<Context: RequestContext>: RouterMiddleware {
    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        var response = try await next(request, context)
        response.headers[.cacheControl] = response.headers[.cacheControl] ?? "no-store"
        response.headers[.xContentTypeOptions] = "nosniff"
        if let name = HTTPField.Name("Referrer-Policy") {
            response.headers[name] = "no-referrer"
        }
        return response
    }
}
