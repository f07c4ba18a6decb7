public import HTTPTypes

/// The fields for every response that tell browsers to be careful with it (OWASP ASVS 3.4).
public struct SecurityFields: Sendable {
    /// What our own pages may do: styles, scripts and requests of this origin, no frames around them.
    ///
    /// There is no `form-action`: browsers apply it to redirects after a form too, and the logout form leads to the
    /// identity provider and wherever that one redirects to.
    public static let defaultPolicy =
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
        + "base-uri 'none'; frame-ancestors 'none'"

    private let isSecure: Bool
    private let policy: String

    /// Makes the fields.
    ///
    /// - Parameters:
    ///   - publicURL: on https, HSTS is sent.
    ///   - contentSecurityPolicy: for responses that have none of their own. Those that have one but do not say who may
    ///     frame them get `frame-ancestors 'none'` beside it.
    public init(publicURL: PublicURL, contentSecurityPolicy: String = Self.defaultPolicy) {
        isSecure = publicURL.isSecure
        policy = contentSecurityPolicy
    }

    /// Puts the fields on a response.
    public func add(to headers: inout HTTPFields) {
        headers[.xContentTypeOptions] = "nosniff"
        if headers[.referrerPolicy] == nil { headers[.referrerPolicy] = "same-origin" }
        let policies = headers[values: .contentSecurityPolicy]
        if policies.isEmpty {
            headers[.contentSecurityPolicy] = policy
        } else if !policies.contains(where: { $0.contains("frame-ancestors") }) {
            headers.add("frame-ancestors 'none'", for: .contentSecurityPolicy)
        }
        if isSecure { headers[.strictTransportSecurity] = "max-age=31536000" }
    }
}

extension HTTPField.Name {
    package static var referrerPolicy: Self { .known("Referrer-Policy") }
}
