import NIOCore
import TestSupport
import Testing

@testable import CloakroomRedisClient

@Suite struct RESPParserTests {
    private func parse(_ text: String, chunk: Int, limits: RESPLimits = RESPLimits()) throws -> [RESPValue] {
        var parser = RESPParser(limits: limits)
        var values: [RESPValue] = []
        var rest = ByteBuffer(string: text)
        while rest.readableBytes > 0 {
            parser.append(ByteBuffer(bytes: rest.readBytes(length: min(chunk, rest.readableBytes)) ?? []))
            while let value = try parser.next() { values.append(value) }
        }
        #expect(!parser.isMidReply)
        return values
    }

    private static let cases: [(String, [RESPValue])] = [
        ("+OK\r\n", [.simpleString("OK")]),
        ("+\r\n", [.simpleString("")]),
        (":0\r\n:-7\r\n:+12\r\n", [.number(0), .number(-7), .number(12)]),
        (":9223372036854775807\r\n:-9223372036854775808\r\n", [.number(.max), .number(.min)]),
        ("$5\r\nhe\r\no\r\n", [.bulk(ByteBuffer(string: "he\r\no"))]),
        ("$0\r\n\r\n$-1\r\n*-1\r\n_\r\n", [.bulk(ByteBuffer()), .null, .null, .null]),
        ("=7\r\ntxt:abc\r\n", [.bulk(ByteBuffer(string: "abc"))]),
        ("#t\r\n#f\r\n", [.boolean(true), .boolean(false)]),
        (",1.5\r\n,-3\r\n,inf\r\n", [.double(1.5), .double(-3), .double(.infinity)]),
        (
            "(3492890328409238509324850943850943825024385\r\n",
            [.bigNumber("3492890328409238509324850943850943825024385")]
        ),
        ("*0\r\n%0\r\n~0\r\n", [.array([]), .map([]), .set([])]),
        (
            "*2\r\n*1\r\n:1\r\n~2\r\n+a\r\n$-1\r\n",
            [.array([.array([.number(1)]), .set([.simpleString("a"), .null])])]
        ),
        ("%1\r\n+key\r\n*0\r\n", [.map([.simpleString("key"), .array([])])]),
        (
            ">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n:1\r\n",
            [.push([.simpleString("invalidate"), .array([.bulk(ByteBuffer(string: "k"))])]), .number(1)]
        ),
        ("|1\r\n+ttl\r\n:3600\r\n$1\r\nv\r\n", [.bulk(ByteBuffer(string: "v"))]),
        ("*2\r\n|1\r\n+a\r\n*1\r\n:9\r\n:1\r\n:2\r\n", [.array([.number(1), .number(2)])]),
        ("|0\r\n+x\r\n", [.simpleString("x")]),
    ]

    @Test("all types of RESP3, whole and in pieces of every size", arguments: cases.indices)
    func types(_ index: Int) throws {
        let (text, expected) = Self.cases[index]
        for chunk in 1...text.utf8.count { #expect(try parse(text, chunk: chunk) == expected) }
    }

    @Test("all of these in one stream, in pieces of every size")
    func stream() throws {
        let text = Self.cases.map(\.0).joined()
        let expected = Self.cases.flatMap(\.1)
        for chunk in [1, 2, 3, 5, 7, 11, 64, 4096] { #expect(try parse(text, chunk: chunk) == expected) }
    }

    @Test func errors() throws {
        let values = try parse("-WRONGPASS invalid s3cret\r\n!21\r\nSYNTAX invalid s3cret\r\n-oops\r\n", chunk: 3)
        let codes = values.map { if case .error(let error) = $0 { error.code } else { "" } }
        #expect(codes == ["WRONGPASS", "SYNTAX", "ERR"])
        #expect(!"\(values)".contains("s3cret"))
    }

    @Test(
        "a server that breaks the protocol is an error, not a crash",
        arguments: [
            ("x\r\n", RESPError.unknownType(0x78)), ("\r\n", .unknownType(0x0D)), ("+a\n", .malformedLineEnd),
            ("\n", .malformedLineEnd),
            ("$-2\r\n", .invalidLength), ("*-9\r\n", .invalidLength), ("$3\r\nabcde", .malformedLineEnd),
            ("$99999999999999999999\r\n", .malformedNumber), ("$9223372036854775807\r\n", .invalidLength),
            ("*9223372036854775807\r\n", .invalidLength), ("%2000000000\r\n", .tooManyElements),
            ("*1048577\r\n", .tooManyElements),
            ("$2147483647\r\n", .stringTooLong), ("$2147483648\r\n", .invalidLength), ("$\r\n", .malformedNumber),
            ("$a\r\n", .malformedNumber),
            (":1a\r\n", .malformedNumber), (":\r\n", .malformedNumber), (":-\r\n", .malformedNumber),
            (":9223372036854775808\r\n", .malformedNumber), (":-9223372036854775809\r\n", .malformedNumber),
            ("#x\r\n", .malformedNumber), (",x\r\n", .malformedNumber), ("_x\r\n", .malformedLineEnd),
            ("$?\r\n", .streamedType),
            ("*1\r\n>1\r\n+a\r\n", .misplacedPush), ("=3\r\nabc\r\n", .invalidLength),
        ])
    func hostile(_ text: String, _ error: RESPError) {
        for chunk in [1, 1000] { #expect(throws: error) { try parse(text, chunk: chunk) } }
    }

    @Test("nesting 10,000 deep is refused at the limit")
    func nesting() throws {
        for open in ["*1\r\n", "%1\r\n", "~1\r\n", "|1\r\n"] {
            #expect(throws: RESPError.nestedTooDeep) { try parse(String(repeating: open, count: 10_000), chunk: 4096) }
        }
        let depth = RESPLimits().depth
        _ = try parse(String(repeating: "*1\r\n", count: depth) + ":1\r\n", chunk: 4096)
    }

    @Test("an endless line is refused once it is too long, and each of its bytes is looked at once")
    func endlessLine() {
        var parser = RESPParser()
        let piece = ByteBuffer(string: String(repeating: "a", count: 1000))
        parser.append(ByteBuffer(string: "+"))
        #expect(throws: RESPError.lineTooLong) {
            for _ in 0..<100 {
                parser.append(piece)
                _ = try parser.next()
            }
        }
    }

    @Test("nested arrays can't multiply their claims beyond the limit of elements")
    func multiplication() {
        let bomb = String(repeating: "*100000\r\n", count: 12)
        #expect(throws: RESPError.tooManyElements) { try parse(bomb, chunk: 4096) }
    }

    @Test("a reply whose parts add up to too much is refused")
    func replySize() {
        var limits = RESPLimits()
        limits.replySize = 10_000
        let part = "$1000\r\n" + String(repeating: "x", count: 1000) + "\r\n"
        #expect(throws: RESPError.replyTooLarge) {
            try parse("*20\r\n" + String(repeating: part, count: 20), chunk: 700, limits: limits)
        }
        // Many replies of that size are no reply of too much.
        #expect(throws: Never.self) { try parse(String(repeating: part, count: 20), chunk: 700, limits: limits) }
    }

    @Test("a string over the limit is skipped as it comes and reported; what follows is intact")
    func oversized() throws {
        var limits = RESPLimits()
        limits.bulkSize = 100
        let text =
            "*2\r\n$101\r\n" + String(repeating: "x", count: 101) + "\r\n:1\r\n$100\r\n"
            + String(repeating: "y", count: 100) + "\r\n"
        let expected: [RESPValue] = [
            .array([.oversized(bytes: 101), .number(1)]), .bulk(ByteBuffer(string: String(repeating: "y", count: 100))),
        ]
        for chunk in [1, 7, 50, 1000] { #expect(try parse(text, chunk: chunk, limits: limits) == expected) }
    }

    @Test("random bytes never crash it")
    func randomBytes() {
        var generator = SeededGenerator()
        let alphabet = Array("*$+-:_#,(!=~%>|0123456789\r\n\r\n\r\n?atx".utf8)
        for _ in 0..<20_000 {
            var parser = RESPParser()
            let bytes = (0..<Int.random(in: 1...60, using: &generator)).map { _ in
                alphabet.randomElement(using: &generator) ?? 0
            }
            parser.append(ByteBuffer(bytes: bytes))
            do {
                while try parser.next() != nil {}
            } catch {}
        }
    }
}
