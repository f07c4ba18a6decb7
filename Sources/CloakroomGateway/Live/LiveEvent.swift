import Cloakroom
import CloakroomHTTP
import HTTPTypes
import NIOCore

/// The events of `/auth/events` as they are written.
enum LiveEvent {
    /// What a stream may have to say, in the order in which it is said.
    struct Kinds: OptionSet {
        let rawValue: UInt8

        static let hello = Kinds(rawValue: 1)
        static let refreshed = Kinds(rawValue: 2)
        static let expiring = Kinds(rawValue: 4)
        static let keepAlive = Kinds(rawValue: 8)
    }

    /// The head of the response.
    static let head = HTTPAnswer(
        status: .ok,
        headers: [
            .contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-store",
            // nginx would keep events back until it has gathered 4 KiB of them.
            .xAccelBuffering: "no",
        ])

    /// Writes these events.
    static func write(_ kinds: Kinds, _ facts: StreamedSession.Facts, into out: inout ByteBuffer) {
        if kinds.contains(.hello) {
            // Not all browsers come back at the same moment when a replica stops.
            out.writeString("retry: \(Int.random(in: 1000...4000))\n")
            write("hello", facts, into: &out)
        }
        if kinds.contains(.refreshed) { write("refreshed", facts, into: &out) }
        if kinds.contains(.expiring) { write("expiring", facts, into: &out) }
        // Any event is a sign of life; a comment alone is needed where there is none.
        if kinds == .keepAlive { out.writeStaticString(":\n\n") }
    }

    private static func write(_ name: StaticString, _ facts: StreamedSession.Facts, into out: inout ByteBuffer) {
        out.writeStaticString("event: ")
        out.writeStaticString(name)
        out.writeString("\ndata: {\"expires_in\":\(facts.secondsLeft()),\"limit\":\"\(facts.limit.rawValue)\"}\n\n")
    }

    /// Writes the last event.
    static func writeLogout(_ reason: SessionEndReason, into out: inout ByteBuffer) {
        out.writeString("event: logout\ndata: {\"reason\":\"\(reason.rawValue)\"}\n\n")
    }
}

extension HTTPField.Name {
    static var xAccelBuffering: Self { .known("X-Accel-Buffering") }
}
