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

    /// 401 in JSON, without a redirect that a program could not follow.
    package static var unauthenticated: HTTPAnswer { .json(["error": "unauthenticated"], status: .unauthorized) }

    /// 403 in JSON for a request that another site made.
    package static func refused(_ refusal: RequestGuard.Refusal) -> HTTPAnswer {
        .json(["error": .string(refusal.rawValue)], status: .forbidden)
    }

    /// 405 in JSON.
    package static func methodNotAllowed(_ allowed: [HTTPRequest.Method]) -> HTTPAnswer {
        .json(
            ["error": "method_not_allowed"], status: .methodNotAllowed,
            headers: [.allow: allowed.map(\.rawValue).joined(separator: ", ")])
    }
}

extension HTTPFields {
    /// Adds a field beside those of its name.
    package mutating func add(_ value: String, for name: HTTPField.Name) {
        append(HTTPField(name: name, value: value))
    }
}
