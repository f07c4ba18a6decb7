import CloakroomHTTP
import HTTPTypes
import NIOCore

/// The heads of the gateway's own answers.
enum AnswerHead {
    /// Writes the head without its end, as HTTP/1.1 has it.
    static func write(_ answer: HTTPAnswer, room: LoopRoom, into out: inout ByteBuffer) {
        writeWithoutLength(answer, room: room, into: &out)
        writeLength(answer.body.count, into: &out)
    }

    /// The same for an answer whose body follows piece by piece.
    static func writeWithoutLength(_ answer: HTTPAnswer, room: LoopRoom, into out: inout ByteBuffer) {
        out.writeStaticString("HTTP/1.1 ")
        out.writeDecimal(answer.status.code)
        out.writeStaticString(" ")
        out.writeString(answer.status.reasonPhrase)
        out.writeStaticString("\r\n")
        var missing = SecurityFieldBytes.Missing()
        for field in answer.headers {
            out.writeString(field.name.rawName)
            out.writeStaticString(": ")
            out.writeString(field.value)
            out.writeStaticString("\r\n")
            missing.note(field)
        }
        out.writeBytes(room.core.security.bytes(missing))
        room.dates.write(into: &out)
    }

    static func writeLength(_ length: Int, into out: inout ByteBuffer) {
        out.writeStaticString("Content-Length: ")
        out.writeDecimal(length)
        out.writeStaticString("\r\n")
    }
}
