import NIOCore
import Testing

@testable import CloakroomRedisClient

@Suite struct RedisCommandTests {
    @Test("commands are written as arrays of strings, binary-safe")
    func encoding() {
        var buffer = ByteBuffer()
        RedisCommand.set("kéy", .bytes([0, 13, 10, 255]), milliseconds: 28_800_000).encode(into: &buffer)
        let expected =
            Array("*5\r\n$3\r\nSET\r\n$4\r\nkéy\r\n$4\r\n".utf8) + [0, 13, 10, 255]
            + Array("\r\n$2\r\nPX\r\n$8\r\n28800000\r\n".utf8)
        #expect(Array(buffer.readableBytesView) == expected)
    }

    @Test(
        "lengths of every number of digits are written right",
        arguments: [0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 65_536])
    func lengths(_ length: Int) {
        var buffer = ByteBuffer()
        RedisCommand("X", [.buffer(ByteBuffer(repeating: 120, count: length))], isIdempotent: true).encode(
            into: &buffer)
        #expect(String(buffer: buffer).hasPrefix("*2\r\n$1\r\nX\r\n$\(length)\r\n"))
        #expect(buffer.readableBytes == "*2\r\n$1\r\nX\r\n$\(length)\r\n\r\n".utf8.count + length)
    }

    @Test("R46: a command describes itself by its name alone")
    func description() {
        let command = RedisCommand.set("session:s3cret", .text("s3cret"), milliseconds: 1)
        var dumped = ""
        dump(command, to: &dumped)
        for text in [
            "\(command)", String(reflecting: command), dumped, "\(RESPValue.bulk(ByteBuffer(string: "s3cret")))",
        ] {
            #expect(!text.contains("s3cret"))
        }
    }

    @Test(
        "server errors say what they mean",
        arguments: [
            ("NOAUTH Authentication required.", RedisServerError.Kind.authenticationRequired),
            ("WRONGPASS invalid username-password pair or user is disabled.", .wrongCredentials),
            ("LOADING Redis is loading the dataset in memory", .loading),
            ("READONLY You can't write against a read only replica.", .readOnly),
            ("OOM command not allowed when used memory > 'maxmemory'.", .outOfMemory),
            ("ERR max number of clients reached", .tooManyClients),
            ("DENIED Redis is running in protected mode because s3cret", .connectionDenied),
            ("MOVED 3999 127.0.0.1:6381", .moved),
            ("ERR unknown command 'HELLO', with args beginning with: 's3cret'", .unknownCommand),
            ("ERR s3cret", .unspecified), ("", .unspecified),
            ("EXECABORT Transaction discarded because of previous errors.", .transactionAborted),
            (String(repeating: "X", count: 1000), .unspecified), ("CROSSSLOT Keys s3cret", .other),
        ])
    func serverErrors(_ message: String, _ kind: RedisServerError.Kind) {
        let error = RedisServerError(message: message)
        #expect(error.kind == kind && error.code.utf8.count <= 32)
        #expect(!"\(error)".contains("s3cret"))
    }
}
