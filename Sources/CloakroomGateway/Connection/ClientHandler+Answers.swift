import CloakroomHTTP
import CloakroomHTTP1
import HTTPTypes
import NIOCore

/// What an exchange says to its client.
extension ClientHandler: ClientStream {
    /// Bodies up to this many bytes are copied, so that they leave in one piece with what stands around them.
    private static let copied = 16_384

    var isWritable: Bool { isChannelWritable && context != nil }

    func wantsChanged() { if !isProcessing { process() } }

    func askForBody() {
        guard let request, request.head.expectsContinue, !request.isWhole, case .none = response else { return }
        beginOutput()
        output.writeStaticString("HTTP/1.1 100 Continue\r\n\r\n")
    }

    func answer(_ answer: HTTPAnswer) {
        guard let request else { return }
        writeAnswer(answer, isHead: request.head.method == .head, isHTTP11: request.head.isHTTP11)
        requestEnded()
    }

    func beginStream(_ answer: HTTPAnswer) {
        guard let request, case .none = response, let context else { return }
        room.answered(request, status: answer.status.code)
        isLast = true
        isStreaming = true
        beginOutput()
        AnswerHead.writeWithoutLength(answer, room: room, into: &output)
        let isChunked = request.head.isHTTP11
        if isChunked { output.writeStaticString("Transfer-Encoding: chunked\r\n") }
        output.writeStaticString("Connection: close\r\n\r\n")
        response = .body(isChunked: isChunked)
        self.request = request.withoutHead()
        Unreachable.endConnection(context.channel, after: limits.send)
    }

    var hasUnsent: Bool {
        guard output.readableBytes == 0, let options = context?.channel.syncOptions else { return true }
        return (try? options.getOption(.bufferedWritableBytes)) ?? 0 > 0
    }

    var sharesConnection: Bool { false }

    func sendInterim(_ head: ResponseHead) {
        guard let request, request.head.isHTTP11, case .none = response, let upstream = room.core.upstream else {
            return
        }
        beginOutput()
        _ = upstream.forwarded.writeFields(head, into: &output)
        output.writeStaticString("\r\n")
    }

    func beginResponse(_ head: ResponseHead) {
        guard let request, let upstream = room.core.upstream else { return }
        log()
        unlogged = (request, head.status, .now())
        if !request.isWhole { isLast = true }
        beginOutput()
        // Taken out while it is written to: each access to a field of an object is checked, and one to a variable is not.
        var output = output
        self.output = ByteBuffer()
        let missing = upstream.forwarded.write(head, into: &output)
        output.writeBytes(room.core.security.bytes(missing))
        var isChunked = false
        if request.head.method == .head || head.status == 304 {
            // The length is that of what `GET` would bring.
            if let length = head.contentLength { AnswerHead.writeLength(length, into: &output) }
        } else if head.status != 204 {
            switch head.framing {
            case .none: AnswerHead.writeLength(0, into: &output)
            case .length(let length): AnswerHead.writeLength(length, into: &output)
            case .chunked, .untilClose:
                isChunked = request.head.isHTTP11
                if isChunked { output.writeStaticString("Transfer-Encoding: chunked\r\n") }
            }
        }
        output.writeStaticString(isLast ? "Connection: close\r\n\r\n" : "\r\n")
        self.output = output
        response = .body(isChunked: isChunked)
    }

    func sendBody(_ data: ByteBuffer) {
        guard case .body(let isChunked) = response else { return }
        beginOutput()
        if isChunked {
            output.writeHexadecimal(data.readableBytes)
            output.writeStaticString("\r\n")
        }
        if data.readableBytes <= Self.copied {
            output.writeImmutableBuffer(data)
        } else {
            writeOutput()
            isFlushDue = true
            room.metrics.clientGets(data.readableBytes)
            context?.write(wrapOutboundOut(data), promise: nil)
            beginOutput()
        }
        if isChunked { output.writeStaticString("\r\n") }
    }

    func endResponse() {
        if case .body(isChunked: true) = response {
            beginOutput()
            output.writeStaticString("0\r\n\r\n")
        }
        requestEnded()
    }

    func cutOff() {
        writeOutput()
        close()
    }

    func flush() {
        writeOutput()
        if isFlushDue {
            isFlushDue = false
            context?.flush()
        }
        log()
    }

    func log() {
        guard let (request, status, answered) = unlogged else { return }
        unlogged = nil
        room.answered(request, status: status, at: answered)
    }

    func writeAnswer(_ answer: HTTPAnswer, isHead: Bool, isHTTP11: Bool) {
        if let request {
            room.answered(request, status: answer.status.code)
            if !request.isWhole { isLast = true }
        }
        beginOutput()
        AnswerHead.write(answer, room: room, into: &output)
        output.writeStaticString(isLast ? "Connection: close\r\n\r\n" : "\r\n")
        if !isHead { output.writeBytes(answer.body) }
        response = .body(isChunked: false)
    }

    /// Makes the buffer ready for more.
    func beginOutput() { if output.readableBytes == 0 { output = room.takeBuffer() } }

    func writeOutput() {
        guard output.readableBytes > 0 else { return }
        isFlushDue = true
        room.metrics.clientGets(output.readableBytes)
        context?.write(wrapOutboundOut(output), promise: nil)
        room.giveBack(output)
        output = ByteBuffer()
    }
}
