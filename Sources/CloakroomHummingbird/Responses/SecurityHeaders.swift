import HTTPTypes
public import Hummingbird

/// Puts the fields on every response that tell browsers to be careful with it (OWASP ASVS 3.4).
public struct SecurityHeadersMiddleware<Context: RequestContext>: RouterMiddleware {
    /// What our own pages may do: styles, scripts and requests of this origin, no frames around them.
    ///
    /// There is no `form-action`: browsers apply it to redirects after a form too, and the logout form leads to the
    /// identity provider and wherever that one redirects to.
    public static var defaultPolicy: String {
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
            + "base-uri 'none'; frame-ancestors 'none'"
    }

    private let isSecure: Bool
    private let policy: String

    /// Makes the middleware.
    ///
    /// - Parameters:
    ///   - publicURL: on https, HSTS is sent.
    ///   - contentSecurityPolicy: for responses that have none of their own. Those that have one but do not say who may
    ///     frame them get `frame-ancestors 'none'` beside it.
    public init(publicURL: PublicURL, contentSecurityPolicy: String = Self.defaultPolicy) {
        isSecure = publicURL.isSecure
        policy = contentSecurityPolicy
    }

    public func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        var response = try await next(request, context)
        response.headers[.xContentTypeOptions] = "nosniff"
        if response.headers[.referrerPolicy] == nil { response.headers[.referrerPolicy] = "same-origin" }
        let policies = response.headers[values: .contentSecurityPolicy]
        if policies.isEmpty {
            response.headers[.contentSecurityPolicy] = policy
        } else if !policies.contains(where: { $0.contains("frame-ancestors") }) {
            response.headers.add("frame-ancestors 'none'", for: .contentSecurityPolicy)
        }
        if isSecure { response.headers[.strictTransportSecurity] = "max-age=31536000" }
        return response
    }
}

extension HTTPField.Name {
    static var referrerPolicy: Self { .known("Referrer-Policy") }
}
