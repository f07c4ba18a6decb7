import CloakroomHTTP1
import NIOCore
import NIOEmbedded
import NIOHTTP1

/// What must hold whatever bytes an upstream sends on a connection on which one request was sent.
enum ResponseCheck {
    /// A response as a reader saw it.
    struct Response: Equatable {
        var status: Int
        var fields: [String]
        var body: [UInt8] = []
        var isWhole = false
    }

    static func problem(with bytes: [UInt8]) -> String? {
        // To `HEAD` now and then.
        for isHead in [false, true] {
            let (ours, failure) = read([bytes], toHead: isHead)
            let cut = bytes.count / 2
            let (again, other) = read([Array(bytes[..<cut]), Array(bytes[cut...])], toHead: isHead)
            if again != ours || other != failure { return "cut at \(cut), it is read otherwise" }
            // To NIO, a tab after `chunked` makes another coding of it.
            guard failure == nil, !bytes.contains(UInt8(ascii: "\t")) else { continue }
            let (theirs, refuses) = readByNIO(bytes, toHead: isHead)
            for (mine, other) in zip(ours, theirs) where mine != other && !refuses {
                return "NIO reads \(other), not \(mine)"
            }
            // A head that is wrong is refused when it is whole.
            let isWrong = theirs.count > ours.count && read([bytes + "\r\n\r\n".utf8], toHead: isHead).failure != nil
            if (theirs.count > ours.count && !isWrong) || (theirs.count < ours.count && !refuses) {
                return "NIO sees \(theirs.count) responses, not \(ours.count)"
            }
        }
        return nil
    }

    private static func read(
        _ pieces: [[UInt8]], toHead isHead: Bool
    ) -> (responses: [Response], failure: HTTP1Failure?) {
        var decoder = ResponseDecoder()
        decoder.expectResponse(toHead: isHead)
        var buffer = ByteBuffer()
        var responses: [Response] = []
        for piece in pieces {
            buffer.writeBytes(piece)
            do throws(HTTP1Failure) {
                while let event = try decoder.next(&buffer) {
                    switch event {
                    case .interim(let head), .head(let head):
                        responses.append(
                            Response(
                                status: head.status,
                                fields: head.fields.lines.map {
                                    "\(head.fields.text($0.name)): \(head.fields.text($0.value))"
                                }))
                    case .body(let data): responses[responses.count - 1].body += data.readableBytesView
                    case .end: responses[responses.count - 1].isWhole = true
                    }
                }
            } catch {
                return (responses, error)
            }
        }
        if decoder.finish() { responses[responses.count - 1].isWhole = true }
        return (responses, nil)
    }

    private static func readByNIO(_ bytes: [UInt8], toHead isHead: Bool) -> (responses: [Response], refuses: Bool) {
        let channel = EmbeddedChannel(
            handler: ByteToMessageHandler(
                HTTPResponseDecoder(leftOverBytesStrategy: .dropBytes, informationalResponseStrategy: .forward)))
        let head = HTTPRequestHead(version: .http1_1, method: isHead ? .HEAD : .GET, uri: "/")
        _ = try? channel.writeOutbound(HTTPClientRequestPart.head(head))
        _ = try? channel.writeOutbound(HTTPClientRequestPart.end(nil))
        var refuses = (try? channel.writeInbound(ByteBuffer(bytes: bytes))) == nil
        if (try? channel.finish(acceptAlreadyClosed: true)) == nil { refuses = true }
        var responses: [Response] = []
        while let part = try? channel.readInbound(as: HTTPClientResponsePart.self) {
            switch part {
            case .head(let head):
                responses.append(
                    Response(
                        status: Int(head.status.code),
                        fields: head.headers.map { "\($0.name): \(HTTP1Check.trimmed($0.value))" }))
            case .body(let data): responses[responses.count - 1].body += data.readableBytesView
            case .end: responses[responses.count - 1].isWhole = true
            }
        }
        return (responses, refuses)
    }
}
