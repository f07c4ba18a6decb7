import Cloakroom
import Testing

@testable import CloakroomGateway

@Suite struct UpstreamPlacesTests {
    @Test("R50: a session has its part of the places; others get theirs, and who waits is served in order")
    func table() {
        let (a, b) = (SessionID().handle, SessionID().handle)
        var table = UpstreamPlaceTable<String>(limit: 4, perSession: 2)
        #expect([a, a, a, b].map { table.take($0) } == [true, true, false, true])
        let numbers = (0..<4).compactMap { _ in table.nextNumber() }
        #expect(table.wait("a1", numbers[0], for: a) == nil)
        #expect(table.wait("a2", numbers[1], for: a) == nil)
        #expect(table.wait("a3", numbers[2], for: a) == false, "no more of a session wait than may be served")
        #expect(table.wait("b1", numbers[3], for: b) == true, "another's place is free")
        // All are taken now, and b gives one back: a may have no more, so that nobody gets it.
        #expect(table.giveBack(b) == nil)
        #expect(table.giveBack(a) == "a1", "the first that waits gets it")
        #expect(table.removeWaiter(numbers[1]) == "a2" && table.removeWaiter(numbers[1]) == nil)
        #expect(table.giveBack(a) == nil && table.giveBack(a) == nil && table.giveBack(b) == nil)
        #expect(table.counts == (0, 0))
    }

    @Test("a place is free again when nobody holds it; one that is cancelled while it waits leaves nothing behind")
    func places() async throws {
        let places = UpstreamPlaces(limit: 1, perSession: 1)
        let session = SessionID().handle
        for _ in 0..<1000 {
            var place = try await places.take(for: session)
            #expect(place != nil)
            let waiting = Task { try await places.take(for: SessionID().handle) != nil }
            if Bool.random() { await Task.yield() }
            waiting.cancel()
            place = nil
            _ = await waiting.result
        }
        #expect(try await places.take(for: session) != nil)
    }
}
