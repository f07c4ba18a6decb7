import Cloakroom
import NIOHTTP1
import Testing

@testable import CloakroomGateway

@Suite struct RequestIDTests {
    @Test("Request IDs have one length, and no two are the same")
    func text() {
        #expect(RequestNumber(connection: 0, number: 0).text == String(repeating: "0", count: 32))
        #expect(RequestNumber(connection: 0xAB_CDEF, number: .max).text == "0000000000abcdefffffffffffffffff")
    }

    @Test("R45: the ID that an error shows is the one that the log has")
    func sameInLog() async throws {
        try await Bench.with { bench in
            let answer = try await bench.browser().get("/nothing-here")
            let id = try #require(try JSONValue(parsing: Array(answer.body.utf8)).object?["request_id"]?.string)
            #expect(answer.status == 404 && id.utf8.count == 32)
            #expect(bench.log.text.contains("request_id=\(id)"))
        }
    }
}
