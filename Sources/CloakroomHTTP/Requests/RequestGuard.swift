public import HTTPTypes

/// Tells requests that this app's own pages sent from those that another site made a browser send
/// (ASVS 3.5.3, draft-ietf-oauth-browser-based-apps §6.1.3.3).
public struct RequestGuard: Sendable {
    /// The origin that browsers see this app at.
    public let publicURL: PublicURL
    /// The field that every API request must carry.
    public let headerName: HTTPField.Name
    /// What that field must say.
    public let headerValue: String

    /// Makes a guard.
    ///
    /// - Parameters:
    ///   - publicURL: where browsers reach the app.
    ///   - headerName: the static field of API requests. A page of another origin can't set it without CORS, which this
    ///     app never grants.
    ///   - headerValue: its value.
    public init(publicURL: PublicURL, headerName: HTTPField.Name = .csrf, headerValue: String = "1") {
        self.publicURL = publicURL
        self.headerName = headerName
        self.headerValue = headerValue
    }

    /// Why a request may not be served.
    public enum Refusal: String, Sendable {
        /// The static field is missing or wrong.
        case missingHeader = "missing_csrf_header"
        /// The request comes from another site or origin.
        case crossSite = "cross_site_request"
    }

    /// Checks an API request: it must come from our origin and carry the static field.
    public func refusal(ofAPIRequest headers: HTTPFields) -> Refusal? {
        if let refusal = refusalOfOrigin(headers) { return refusal }
        let values = headers[values: headerName]
        return values.count == 1 && values.first == headerValue ? nil : .missingHeader
    }

    /// Checks where a request comes from.
    ///
    /// `Sec-Fetch-Site` decides where the browser sends it; only `same-origin` and `none` (the user typed the address)
    /// pass. `Origin`, where it stands, must be ours: `null` is not.
    public func refusalOfOrigin(_ headers: HTTPFields) -> Refusal? {
        let sites = headers[values: .secFetchSite]
        if !sites.isEmpty, sites != ["same-origin"], sites != ["none"] { return .crossSite }
        let origins = headers[values: .origin]
        if !origins.isEmpty, origins != [publicURL.origin] { return .crossSite }
        return nil
    }
}

extension HTTPField.Name {
    /// `X-CSRF`
    public static var csrf: Self { .known("X-CSRF") }
    static var secFetchSite: Self { .known("Sec-Fetch-Site") }
    static var secFetchMode: Self { .known("Sec-Fetch-Mode") }

    /// A name that is written in the source; its characters are those of a field name.
    package static func known(_ name: String) -> Self {
        guard let name = HTTPField.Name(name) else { preconditionFailure("not a field name: \(name)") }
        return name
    }
}
