package import Cloakroom
package import HTTPTypes
package import Hummingbird
import NIOCore

extension Response {
    /// An answer in JSON that no cache keeps.
    package static func json(
        _ object: JSONObject, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]
    ) -> Response {
        var headers = headers
        headers[.contentType] = "application/json; charset=utf-8"
        headers[.cacheControl] = "no-store"
        let bytes = JSONValue.object(object).serialized
        return Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    /// A page that no cache keeps.
    package static func html(
        _ page: String, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]
    ) -> Response {
        var headers = headers
        headers[.contentType] = "text/html; charset=utf-8"
        headers[.cacheControl] = "no-store"
        return Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(string: page)))
    }
}

extension HTTPFields {
    /// Adds a field beside those of its name.
    package mutating func add(_ value: String, for name: HTTPField.Name) {
        append(HTTPField(name: name, value: value))
    }
}
