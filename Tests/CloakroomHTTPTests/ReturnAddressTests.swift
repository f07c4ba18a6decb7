import Cloakroom
import Foundation
import Testing

@testable import CloakroomHTTP

/// Addresses that a hostile link may ask a login to return to, by the families of open redirects. A real browser reads the same
/// file in `Tests/EndToEnd/test_return_addresses.py`.
@Suite struct ReturnAddressTests {
    private struct Case {
        let isLocal: Bool
        let text: String
    }

    private func cases() throws -> [Case] {
        let file = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../Corpora/return-addresses.txt").standardized
        let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
            .filter { !$0.hasPrefix("#") }
        return try lines.map { line in
            let parts = line.split(separator: " ", omittingEmptySubsequences: false)
            #expect(parts.count == 2 && ["local", "foreign"].contains(parts[0]), "\(line)")
            return Case(isLocal: parts[0] == "local", text: try #require(PercentCoding.decodeForm(parts[1])))
        }
    }

    @Test("R11: of hundreds of addresses those of this app are taken as they are, all others become /")
    func table() throws {
        let cases = try cases()
        #expect(cases.count { !$0.isLocal } > 400 && cases.count { $0.isLocal } > 50)
        for one in cases {
            let path = ReturnAddress(one.text).path
            #expect(path == (one.isLocal ? one.text : "/"), "\(one.text.prefix(60).debugDescription)")
        }
    }

    @Test("R11: no character before, within or after a good address makes a bad one of it unnoticed")
    func everyByte() throws {
        for scalar in (0...0x2FF).compactMap(Unicode.Scalar.init) {
            for text in ["\(scalar)/evil", "/\(scalar)/evil", "/\(scalar)evil", "/a\(scalar)", "//\(scalar)evil"] {
                let path = ReturnAddress(text).path
                let isSafe = path.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\\") }
                #expect(isSafe && path.hasPrefix("/") && !path.utf8.starts(with: "//".utf8), "\(text.debugDescription)")
            }
        }
    }
}
