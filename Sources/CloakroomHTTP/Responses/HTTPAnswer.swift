package import Cloakroom
public import HTTPTypes

/// A response with its whole body.
public struct HTTPAnswer: Sendable {
    /// The status.
    public var status: HTTPResponse.Status
    /// The header fields; whoever sends it adds `Content-Length`.
    public var headers: HTTPFields
    /// The body.
    public var body: [UInt8]

    /// Makes an answer.
    public init(status: HTTPResponse.Status, headers: HTTPFields = [:], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// JSON that no cache keeps.
    package static func json(
        _ object: JSONObject, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]
    ) -> HTTPAnswer {
        whole(JSONValue.object(object).serialized, "application/json; charset=utf-8", status, headers)
    }

    /// A page that no cache keeps.
    package static func html(
        _ page: String, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]
    ) -> HTTPAnswer {
        whole(Array(page.utf8), "text/html; charset=utf-8", status, headers)
    }

    private static func whole(
        _ body: [UInt8], _ type: String, _ status: HTTPResponse.Status, _ headers: HTTPFields
    ) -> HTTPAnswer {
        var headers = headers
        headers[.contentType] = type
        headers[.cacheControl] = "no-store"
        return HTTPAnswer(status: status, headers: headers, body: body)
    }

    /// A redirect that is made anew each time.
    package static func redirect(to location: String) -> HTTPAnswer {
        HTTPAnswer(status: .seeOther, headers: [.location: location, .cacheControl: "no-store"])
    }

    /// An error for programs (RFC 9457). Its `type` is `about:blank`: `error` tells problems of one status apart.
    ///
    /// - Parameters:
    ///   - error: a short code that never changes.
    ///   - members: what else is to be said.
    package static func problem(
        _ error: String, status: HTTPResponse.Status, headers: HTTPFields = [:], _ members: JSONObject = [:]
    ) -> HTTPAnswer {
        var object: JSONObject = ["error": .string(error)]
        for member in members.members { object[member.name] = member.value }
        object["type"] = "about:blank"
        object["title"] = .string(title(status))
        object["status"] = .number(String(status.code))
        return whole(JSONValue.object(object).serialized, "application/problem+json", status, headers)
    }

    /// What a status is called (RFC 9110 §15).
    private static func title(_ status: HTTPResponse.Status) -> String {
        switch status.code {
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 413: "Content Too Large"
        case 414: "URI Too Long"
        case 421: "Misdirected Request"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        default: "Error \(status.code)"
        }
    }

    /// 401 in JSON, without a redirect that a program could not follow.
    package static var unauthenticated: HTTPAnswer { unauthenticated(because: nil) }

    /// The same, with the reason for which the session ended, if that is known.
    package static func unauthenticated(because reason: SessionEndReason?) -> HTTPAnswer {
        .problem("unauthenticated", status: .unauthorized, reason.map { ["reason": .string($0.rawValue)] } ?? [:])
    }

    /// 403 in JSON for a request that another site made.
    package static func refused(_ refusal: RequestGuard.Refusal) -> HTTPAnswer {
        .problem(refusal.rawValue, status: .forbidden)
    }

    /// 405 in JSON.
    package static func methodNotAllowed(_ allowed: [HTTPRequest.Method]) -> HTTPAnswer {
        .problem(
            "method_not_allowed", status: .methodNotAllowed,
            headers: [.allow: allowed.map(\.rawValue).joined(separator: ", ")])
    }
}

extension HTTPFields {
    /// Adds a field beside those of its name.
    package mutating func add(_ value: String, for name: HTTPField.Name) {
        append(HTTPField(name: name, value: value))
    }
}
