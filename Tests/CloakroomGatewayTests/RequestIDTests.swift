import Cloakroom
import NIOHTTP1
import Testing

@testable import CloakroomGateway

@Suite struct RequestIDTests {
    @Test("Request IDs are padded to one length", arguments: ["", "f", String(repeating: "a", count: 31)])
    func padding(id: String) {
        #expect(GatewayContext.padded(id).utf8.count == 32 && GatewayContext.padded(id).hasSuffix(id))
        let whole = String(repeating: "a", count: 32)
        #expect(GatewayContext.padded(whole) == whole)
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
