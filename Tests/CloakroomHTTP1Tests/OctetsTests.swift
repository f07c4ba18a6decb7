import NIOCore
import Testing

@testable import CloakroomHTTP1

@Suite struct OctetsTests {
    @Test("tokens are those of RFC 9110 §5.6.2, all 256 bytes looked at")
    func tokens() {
        let allowed = Set("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)
        for byte in UInt8.min...UInt8.max { #expect(Octets.isToken(byte) == allowed.contains(byte), "\(byte)") }
    }

    @Test("eight bytes at a time find the same as one at a time, wherever an unfit byte stands")
    func fieldValues() {
        for byte in UInt8.min...UInt8.max {
            for place in 0..<20 {
                for neighbour: UInt8 in [0x20, 0x7E, 0x80, 0xFF, 0x09] {
                    var bytes = [UInt8](repeating: neighbour, count: 20)
                    bytes[place] = byte
                    let found = bytes.withUnsafeBytes { Octets.areFieldValue($0, 0, 20) }
                    #expect(found == Octets.isFieldValue(byte), "\(byte) at \(place) among \(neighbour)")
                }
            }
        }
    }
}
