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
    /// What it says of the trace that it belongs to.
    let trace: TraceFields
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
        trace = TraceFields(head.fields)
    }

    /// The same without what the client has said, for a response that goes on for long: the head's bytes may be many.
    func withoutHead() -> GatewayRequest {
        guard let head = head.isHTTP11 ? Self.emptyHead : Self.emptyHead10 else { return self }
        let copy = GatewayRequest(head, route: route, address: address, number: number)
        copy.handle = handle
        copy.isWhole = isWhole
        return copy
    }

    private static let emptyHead = try? RequestHead(parsing: ByteBuffer(string: "GET / HTTP/1.1\r\nHost: -\r\n\r\n"))
    private static let emptyHead10 = try? RequestHead(parsing: ByteBuffer(string: "GET / HTTP/1.0\r\n\r\n"))

    /// Whether the target has more than a path.
    var hasQuery: Bool {
        head.fields.withBytes { Self.path(head, $0).upperBound != head.target.upperBound }
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

    /// For events of what is done for it.
    var origin: RequestOrigin {
        let userAgent = head.fields.withBytes { bytes in
            head.fields.lines.first { Octets.equal(bytes, $0.name, lowercase: "user-agent") }
        }
        return RequestOrigin(
            client: SessionClient(userAgent: userAgent.map { head.fields.text($0.value) }, address: address.text),
            requestID: id)
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
        for value in [connection >> 32, connection, number >> 32, number] {
            withUnsafeBytes(of: Self.digits(UInt32(truncatingIfNeeded: value)).bigEndian) {
                digits.append(contentsOf: $0)
            }
        }
    }

    /// Writes its 32 digits.
    func write(into out: inout ByteBuffer) {
        writeConnection(into: &out)
        out.writeInteger(Self.digits(UInt32(truncatingIfNeeded: number >> 32)))
        out.writeInteger(Self.digits(UInt32(truncatingIfNeeded: number)))
    }

    /// Writes the 16 digits of its connection.
    func writeConnection(into out: inout ByteBuffer) {
        out.writeInteger(Self.digits(UInt32(truncatingIfNeeded: connection >> 32)))
        out.writeInteger(Self.digits(UInt32(truncatingIfNeeded: connection)))
    }

    /// The eight digits of a number, the first in the highest byte.
    private static func digits(_ number: UInt32) -> UInt64 {
        // Each step doubles the distance of the parts, until each byte holds one digit.
        var spread = UInt64(number)
        spread = (spread << 16 | spread) & 0x0000_FFFF_0000_FFFF
        spread = (spread << 8 | spread) & 0x00FF_00FF_00FF_00FF
        spread = (spread << 4 | spread) & 0x0F0F_0F0F_0F0F_0F0F
        // 1 where it is a letter.
        let letters = (spread + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        return spread + 0x3030_3030_3030_3030 + letters * 0x27
    }
}
