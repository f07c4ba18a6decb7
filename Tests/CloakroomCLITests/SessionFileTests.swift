import Cloakroom
import CloakroomRedis
import Foundation
import Testing

@testable import CloakroomCLI

@Suite struct SessionFileTests {
    @Test("what is written is read again, byte by byte", arguments: [true, false])
    func roundTrip(isSealed: Bool) throws {
        let id = SessionID()
        let session = StoredSession(
            name: isSealed ? .sealed(id) : .plain(id), record: (0..<255).map { UInt8($0) }, end: 1_764_230_400_123,
            summary: isSealed ? .init(record: [0xC1, 0x81, 0], end: 1_764_230_500_000) : nil)
        var bytes: [UInt8] = []
        SessionFile.write(session, to: &bytes)
        #expect(bytes.popLast() == UInt8(ascii: "\n"))
        #expect(try SessionFile.read(bytes) == .session(session))
    }

    @Test("the first line says what the file is of, the last how many there are")
    func marks() throws {
        let head = SessionFile.head(keyPrefix: "shop:session:", defaultIssuer: "https://id.example.com")
        #expect(
            try SessionFile.read(head.dropLast())
                == .head(.init(version: 1, keyPrefix: "shop:session:", defaultIssuer: "https://id.example.com")))
        #expect(try SessionFile.read(SessionFile.end(count: 7).dropLast()) == .end(count: 7))
    }

    @Test(
        "a line that is none is refused, and says why",
        arguments: [
            ("nonsense", "no JSON"), ("[]", "no JSON object"), ("{}", "name is missing"),
            (#"{"name":"a b","record":"YQ","ends_at":1}"#, "no session can have it"),
            (#"{"name":"short","record":"YQ","ends_at":1}"#, "no session can have it"),
            (#"{"name":"0123456789abcdef","record":"!","ends_at":1}"#, "no base64url"),
            (#"{"name":"0123456789abcdef","record":"","ends_at":1}"#, "no base64url"),
            (#"{"name":"0123456789abcdef","record":"YQ","ends_at":-1}"#, "ends_at"),
            (#"{"name":"0123456789abcdef","record":"YQ","ends_at":1e30}"#, "ends_at"),
            (#"{"name":"0123456789abcdef","record":"YQ"}"#, "ends_at"),
            (#"{"name":"0123456789abcdef","record":"YQ","ends_at":1,"summary":"!"}"#, "summary"),
        ])
    func refused(_ line: String, _ reason: String) {
        let failure = #expect(throws: Failure.self) { try SessionFile.read(Array(line.utf8)) }
        #expect(failure?.line.contains(reason) == true)
    }

    // MARK: Lines

    private func lines(_ text: [UInt8], longest: Int) throws -> [LineReader.Line] {
        let file = FileManager.default.temporaryDirectory.appending(path: "cloakroom-lines-\(UUID().uuidString)")
        try Data(text).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let descriptor = open(file.path, O_RDONLY)
        defer { close(descriptor) }
        let reader = LineReader(descriptor: descriptor, longest: longest)
        var found: [LineReader.Line] = []
        while let line = try reader.next() { found.append(line) }
        #expect(reader.number == found.count && reader.bytes == text.count)
        return found
    }

    @Test("lines come one by one, with or without an end to the last")
    func lineByLine() throws {
        #expect(try lines([], longest: 10).isEmpty)
        #expect(try lines(Array("a\n\nb".utf8), longest: 10) == [.text([0x61]), .text([]), .text([0x62])])
        #expect(try lines(Array("a\n".utf8), longest: 10) == [.text([0x61])])
    }

    @Test("a line that is too long is passed over, however long, and the next ones are read")
    func tooLong() throws {
        for count in [11, 300_000, 3_000_000] {
            let long = [UInt8](repeating: 0x78, count: count)
            #expect(
                try lines([0x61, 0x0A] + long + [0x0A, 0x62], longest: 10) == [.text([0x61]), .tooLong, .text([0x62])])
            #expect(try lines(long, longest: 10) == [.tooLong])
        }
        let exact = [UInt8](repeating: 0x78, count: 300_000)
        #expect(try lines(exact + [0x0A], longest: 300_000) == [.text(exact)])
    }

    @Test("a line that is put back is the next once more")
    func putBack() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "cloakroom-lines-\(UUID().uuidString)")
        try Data("a\nb\n".utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let descriptor = open(file.path, O_RDONLY)
        defer { close(descriptor) }
        let reader = LineReader(descriptor: descriptor, longest: 10)
        _ = try reader.next()
        reader.putBack([0x61])
        #expect(try reader.next() == .text([0x61]) && reader.number == 1)
        #expect(try reader.next() == .text([0x62]) && reader.number == 2)
        #expect(try reader.next() == nil)
    }
}
