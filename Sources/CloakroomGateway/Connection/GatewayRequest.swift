import Cloakroom
import CloakroomHTTP
import CloakroomHTTP1
import HTTPTypes
import NIOCore

/// A request, and what is known of it beside its bytes.
final class GatewayRequest {
    let head: RequestHead
    let route: GatewayRoute?
    let began = NIODeadline.now()
    /// The address that the client's connection came from.
    let address: ClientAddress
    let number: RequestNumber
    /// The session that it was found to have.
    var handle: SessionHandle?
    /// How much of the body has come.
    var bodyBytes = 0
    /// Whether the body was read to its end.
    var isWhole = false

    init(_ head: RequestHead, route: GatewayRoute?, address: ClientAddress, number: RequestNumber) {
        self.head = head
        self.route = route
        self.address = address
        self.number = number
    }

    /// The name of the request in the log.
    var id: String { number.text }

    /// Whether the upstream may be asked once more when a connection ended without an answer (RFC 9110 §9.2.2).
    var isIdempotent: Bool {
        switch head.method {
        case .get, .head, .put, .delete, .options, .trace: true
        default: false
        }
    }

    /// The method, as text.
    var method: String { head.fields.text(head.methodRange) }

    /// The bytes of the target's path; empty if the target is no path.
    static func path(_ head: RequestHead, _ bytes: UnsafeRawBufferPointer) -> Range<Int> {
        let target = head.target
        guard bytes[target.lowerBound] == UInt8(ascii: "/") else { return target.lowerBound..<target.lowerBound }
        var end = target.lowerBound
        while end < target.upperBound, bytes[end] != UInt8(ascii: "?"), bytes[end] != UInt8(ascii: "#") { end += 1 }
        return target.lowerBound..<end
    }

    /// The head as handlers that work on text want it.
    var asHTTPRequest: HTTPRequest {
        let fields = head.fields
        var all = HTTPFields()
        all.reserveCapacity(fields.lines.count)
        for line in fields.lines where line.name != head.host {
            guard let name = HTTPField.Name(fields.text(line.name)) else { continue }
            if name == Self.host { continue }
            all.append(HTTPField(name: name, value: fields.text(line.value)))
        }
        return HTTPRequest(
            method: HTTPRequest.Method(method) ?? .get, scheme: nil,
            authority: head.host.isEmpty ? nil : fields.text(head.host), path: fields.text(head.target),
            headerFields: all)
    }

    private static let host = HTTPField.Name.known("Host")
}

/// An address in the forms in which it is needed, made once for a connection.
struct ClientAddress: Sendable {
    /// As text; `nil` for what has none, such as a Unix socket.
    let text: String?
    let bytes: [UInt8]

    init(_ address: SocketAddress?) {
        text = address?.ipAddress
        bytes = text.map { Array($0.utf8) } ?? []
    }
}

/// Names a request: random for its connection, and counted within it.
struct RequestNumber: Sendable {
    let connection: UInt64
    let number: UInt64

    var text: String {
        var digits: [UInt8] = []
        write(into: &digits)
        return String(decoding: digits, as: UTF8.self)
    }

    /// Writes its 32 digits.
    func write(into digits: inout [UInt8]) {
        for value in [connection, number] {
            for shift in stride(from: UInt64(60), through: 0, by: -4) {
                let digit = UInt8(truncatingIfNeeded: value >> shift) & 15
                digits.append(digit < 10 ? 0x30 + digit : 0x61 + digit - 10)
            }
        }
    }
}
