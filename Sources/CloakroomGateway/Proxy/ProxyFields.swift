import CloakroomHTTP
import HTTPTypes
import NIOHTTP1

/// Which header fields pass the gateway, and in which direction.
enum ProxyFields {
    /// Fields that belong to one connection (RFC 9110 §7.6.1); what `Connection` lists is added to them.
    private static let hopByHop: Set<String> = [
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade", "http2-settings",
    ]

    /// Fields of a client that the upstream must never see, as it might believe them or as they are ours to send. In
    /// addition: everything that begins with one of ``forgeablePrefixes``.
    private static let forgeable: Set<String> = [
        "authorization", "cookie", "forwarded", "host", "content-length", "expect", "via", "x-real-ip", "x-client-ip",
        "x-original-url", "x-rewrite-url", "x-original-uri", "x-remote-user", "remote-user", "true-client-ip",
        "cf-connecting-ip", "x-csrf",
    ]
    private static let forgeablePrefixes = ["x-forwarded-", "x-auth-request-"]

    /// What the gateway says of the client.
    struct Client {
        let remoteAddress: String?
        let publicURL: PublicURL
        let accessToken: String
    }

    /// The fields for the upstream: the client's without those above, and then ours, so that no `Connection` of the client
    /// can strip what we add.
    static func request(_ fields: HTTPFields, client: Client) -> HTTPHeaders {
        let listed = connectionListed(fields[values: .connection])
        var headers = HTTPHeaders()
        for field in fields {
            // Some servers can't tell `X_Forwarded_For` or `X.Forwarded.For` from `X-Forwarded-For` (CVE-2025-64484):
            // neither do we.
            let name = field.name.canonicalName
            let spelling = String(name.map { $0.isLetter || $0.isNumber ? $0 : "-" })
            guard !hopByHop.contains(spelling), !listed.contains(name), !forgeable.contains(spelling),
                !forgeablePrefixes.contains(where: { spelling.hasPrefix($0) })
            else { continue }
            headers.add(name: field.name.rawName, value: field.value)
        }
        if let cookies = fields.cookies(without: CookieSettings.reservedNames) {
            headers.add(name: "Cookie", value: cookies)
        }
        headers.add(name: "Authorization", value: "Bearer \(client.accessToken)")
        if let address = client.remoteAddress { headers.add(name: "X-Forwarded-For", value: address) }
        headers.add(name: "X-Forwarded-Proto", value: client.publicURL.scheme)
        headers.add(name: "X-Forwarded-Host", value: client.publicURL.authority)
        return headers
    }

    /// The fields for the client: the upstream's without those of its connection, without cookies of our names, and
    /// without any grant of CORS, which would undo the protection that the static field gives.
    static func response(_ headers: HTTPHeaders) -> HTTPFields {
        let listed = connectionListed(headers[canonicalForm: "connection"].map(String.init))
        var fields = HTTPFields()
        for (name, value) in headers {
            let lowercased = name.lowercased()
            guard !hopByHop.contains(lowercased), !listed.contains(lowercased),
                !lowercased.hasPrefix("access-control-"), lowercased != "x-cloakroom-replica",
                !(lowercased == "set-cookie" && setsReservedCookie(value)),
                let name = HTTPField.Name(name)
            else { continue }
            fields.append(HTTPField(name: name, value: value))
        }
        // What came with a user's token is that user's alone (ASVS 14.3.2).
        fields[.cacheControl] = "no-store"
        return fields
    }

    private static func connectionListed(_ values: [String]) -> Set<String> {
        Set(
            values.flatMap { $0.utf8.split(separator: UInt8(ascii: ",")) }
                .map { Substring($0.trimmingOptionalWhitespace()).lowercased() })
    }

    /// Whether a browser could send back what this `Set-Cookie` sets as a cookie of ours: it returns one without a name,
    /// `=a=b`, as `a=b` (RFC 6265bis §5.8.3).
    private static func setsReservedCookie(_ value: String) -> Bool {
        let text = value.utf8.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "=") }
        let name = text.prefix { $0 != UInt8(ascii: "=") && $0 != UInt8(ascii: ";") }.trimmingOptionalWhitespace()
        return CookieSettings.reservedNames.contains(String(Substring(name)))
    }
}
