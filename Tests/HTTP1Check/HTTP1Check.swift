import CloakroomHTTP1
import NIOCore
import NIOEmbedded
import NIOHTTP1

/// What must hold whatever bytes a client sends: for the fuzzer, and for the tests that read its corpus again.
package enum HTTP1Check {
    /// A request as a reader saw it.
    package struct Request: Equatable {
        package var method: String
        package var target: String
        package var fields: [String]
        package var body: [UInt8] = []
        package var isWhole = false
    }

    /// What is wrong; `nil` if all is well.
    ///
    /// - Parameter bytes: requests, or, if they begin as responses do, responses.
    package static func problem(with bytes: [UInt8]) -> String? {
        bytes.starts(with: "HTTP/".utf8) ? ResponseCheck.problem(with: bytes) : requestProblem(with: bytes)
    }

    private static func requestProblem(with bytes: [UInt8]) -> String? {
        let (ours, failure, isOver) = read([bytes])
        // It makes no difference in which pieces bytes come.
        if let first = bytes.first, bytes.count > 1 {
            let cut = Int(first) % bytes.count
            let (again, other, _) = read([Array(bytes[..<cut]), Array(bytes[cut...])])
            if again != ours || other != failure { return "cut at \(cut), it is read otherwise" }
        }
        // Whoever reads the same bytes must not see another request in them than we do.
        guard failure == nil else { return nil }
        let (theirs, refuses) = readByNIO(bytes)
        for (mine, other) in zip(ours, theirs) where mine != other && !(refuses && !other.isWhole) {
            return "NIO reads \(other), not \(mine)"
        }
        // It may refuse what we take; then it reads nothing after it either. After a request for another protocol we read
        // nothing, and it may.
        if (theirs.count > ours.count && !isOver) || (theirs.count < ours.count && !refuses) {
            return "NIO sees \(theirs.count) requests, not \(ours.count)"
        }
        return nil
    }

    private static func read(
        _ pieces: [[UInt8]]
    ) -> (requests: [Request], failure: HTTP1Failure?, isOver: Bool) {
        var decoder = RequestDecoder()
        var buffer = ByteBuffer()
        var requests: [Request] = []
        for piece in pieces {
            buffer.writeBytes(piece)
            do throws(HTTP1Failure) {
                while let event = try decoder.next(&buffer) {
                    switch event {
                    case .head(let head):
                        requests.append(
                            Request(
                                method: head.fields.text(head.methodRange), target: head.fields.text(head.target),
                                fields: head.fields.lines.map {
                                    "\(head.fields.text($0.name)): \(head.fields.text($0.value))"
                                }))
                    case .body(let data): requests[requests.count - 1].body += data.readableBytesView
                    case .end: requests[requests.count - 1].isWhole = true
                    }
                }
            } catch {
                return (requests, error, false)
            }
        }
        return (requests, nil, decoder.isOver)
    }

    /// A value without the spaces and tabs after it, which NIO leaves there.
    static func trimmed(_ value: String) -> String {
        let bytes = value.utf8.reversed().drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        return String(decoding: bytes.reversed(), as: UTF8.self)
    }

    private static func readByNIO(_ bytes: [UInt8]) -> (requests: [Request], refuses: Bool) {
        let channel = EmbeddedChannel(
            handler: ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)))
        defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
        let refuses = (try? channel.writeInbound(ByteBuffer(bytes: bytes))) == nil
        var requests: [Request] = []
        while let part = try? channel.readInbound(as: HTTPServerRequestPart.self) {
            switch part {
            case .head(let head):
                requests.append(
                    Request(
                        method: head.method.rawValue, target: head.uri,
                        fields: head.headers.map { "\($0.name): \(trimmed($0.value))" }))
            case .body(let data): requests[requests.count - 1].body += data.readableBytesView
            case .end: requests[requests.count - 1].isWhole = true
            }
        }
        return (requests, refuses)
    }
}
