import CloakroomHTTP1
import NIOCore

/// What a decoder made of some bytes, in a form that can be compared.
enum Read: Equatable {
    case head(String, BodyFraming, keepsAlive: Bool)
    case body(String)
    case end
    case failure(HTTP1Failure)
    /// Bytes that are not enough for anything yet.
    case rest(Int)
}

extension Array where Element == Read {
    /// With the parts of a body put together, as they depend on how the bytes came.
    var joined: [Read] {
        reduce(into: []) { all, next in
            if case .body(let more) = next, case .body(let text)? = all.last {
                all[all.count - 1] = .body(text + more)
            } else {
                all.append(next)
            }
        }
    }
}

/// Reads requests out of these pieces, as they come one after the other.
func requests(_ pieces: [[UInt8]], limits: HTTP1Limits = HTTP1Limits()) -> [Read] {
    var decoder = RequestDecoder(limits: limits)
    return read(pieces) { buffer throws(HTTP1Failure) in
        switch try decoder.next(&buffer) {
        case nil: nil
        case .head(let head)?: .head(head.fields.text(head.target), head.framing, keepsAlive: head.keepsAlive)
        case .body(let data)?: .body(String(buffer: data))
        case .end?: .end
        }
    }
}

func requests(_ text: String, limits: HTTP1Limits = HTTP1Limits()) -> [Read] {
    requests([Array(text.utf8)], limits: limits)
}

/// Reads the response to one request after the other out of these pieces.
func responses(_ pieces: [[UInt8]], toHead: Bool = false, closes: Bool = false) -> [Read] {
    var decoder = ResponseDecoder()
    decoder.expectResponse(toHead: toHead)
    var all = read(pieces) { buffer throws(HTTP1Failure) in
        switch try decoder.next(&buffer) {
        case nil: nil
        case .interim(let head)?, .head(let head)?:
            .head("\(head.status) \(head.fields.text(head.reason))", head.framing, keepsAlive: head.keepsAlive)
        case .body(let data)?: .body(String(buffer: data))
        case .end?: .end
        }
    }
    if closes { all.append(decoder.finish() ? .end : .failure(.malformed(.cutOff))) }
    return all
}

func responses(_ text: String, toHead: Bool = false, closes: Bool = false) -> [Read] {
    responses([Array(text.utf8)], toHead: toHead, closes: closes)
}

private func read(
    _ pieces: [[UInt8]], _ next: (inout ByteBuffer) throws(HTTP1Failure) -> Read?
) -> [Read] {
    var buffer = ByteBuffer()
    var all: [Read] = []
    for piece in pieces {
        buffer.writeBytes(piece)
        do throws(HTTP1Failure) {
            while let part = try next(&buffer) { all.append(part) }
        } catch {
            return all + [.failure(error)]
        }
    }
    return buffer.readableBytes > 0 ? all + [.rest(buffer.readableBytes)] : all
}
