import TestSupport
import Testing

@testable import Cloakroom

@Suite struct JSONTextTests {
    @Test("the first byte that needs care is found, whichever it is and wherever it stands")
    func everyByteEverywhere() {
        for length in 0...19 {
            for position in 0..<max(1, length) {
                for byte in UInt8.min...UInt8.max {
                    for after in [UInt8(ascii: "a"), 0x00, 0x22, 0x5C, 0x80, 0xFF] {
                        var bytes = [UInt8](repeating: UInt8(ascii: "~"), count: length)
                        if length > 0 {
                            bytes[position] = byte
                            for index in bytes.indices.dropFirst(position + 1) { bytes[index] = after }
                        }
                        for start in [0, min(1, length), position] {
                            let expected =
                                bytes[start...].firstIndex { $0 < 0x20 || $0 == 0x22 || $0 == 0x5C } ?? length
                            let found = bytes.withUnsafeBytes { JSONText.endOfPlainText(in: $0, from: start) }
                            if found != expected { Issue.record("\(bytes) from \(start): \(found)") }
                        }
                    }
                }
            }
        }
    }

    @Test("base64url: every length there and back, and what is none")
    func base64() {
        var generator = SeededGenerator()
        for length in 0..<100 {
            let bytes = (0..<length).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
            let text = Base64URL.encode(bytes)
            #expect(Base64URL.decode(text) == bytes)
            #expect(Base64URL.decode(text + String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)) == bytes)
            #expect(Base64URL.encode(bytes.lazy.map { $0 }) == text)
        }
        #expect(Base64URL.encode(Array("foobar?>".utf8)) == "Zm9vYmFyPz4")
        for text in ["a", "ab+c", "ab/c", "ab=c", "abcd====", "ab\u{0}d", "abcé"] {
            #expect(Base64URL.decode(text) == nil, "\(text)")
        }
    }
}
