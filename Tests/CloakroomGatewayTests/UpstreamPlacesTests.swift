import Cloakroom
import Synchronization
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

    @Test("R50: from many threads, each place is given back once, and whoever waits gets it or gives up")
    func places() async throws {
        let places = UpstreamPlaces(limit: 4, perSession: 2)
        let sessions = (0..<8).map { _ in SessionID().handle }
        await withTaskGroup(of: Void.self) { group in
            for session in sessions {
                group.addTask {
                    for _ in 0..<1000 {
                        guard !places.take(for: session) else {
                            await Task.yield()
                            places.giveBack(session)
                            continue
                        }
                        let isGranted = Mutex(false)
                        switch places.wait(for: session, onGrant: { isGranted.withLock { $0 = true } }) {
                        case .granted: places.giveBack(session)
                        case .refused: break
                        case .waiting(let number):
                            if Bool.random() { await Task.yield() }
                            guard !places.giveUp(number) else { continue }
                            // Whoever grants it does so before it says so.
                            while !isGranted.withLock({ $0 }) { await Task.yield() }
                            places.giveBack(session)
                        }
                    }
                }
            }
        }
        #expect(places.counts == (0, 0))
    }
}
