import Cloakroom
import Foundation
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import CloakroomRedis

@Suite struct WatchedSessionsTests {
    private let keys = KeySchema(sessionPrefix: "session:")

    private func session(ends: TimeInterval = 600) -> Session {
        Session(
            tokens: TokenSet(accessToken: "a"), userInfo: UserInfo(subject: "jane"), createdAt: .now,
            expiresAt: .now + ends)
    }

    private func cache(entries: Int = 3200, endWatch: EndWatch? = nil) -> NearCache {
        var configuration = NearCacheConfiguration()
        configuration.maximumEntries = entries
        let cache = NearCache(configuration, keys: keys, endWatch: endWatch)
        cache.trackingConfirmed(until: .now() + .seconds(60))
        return cache
    }

    private func keep(_ cache: NearCache, _ id: SessionID, lifetime: Int = 600_000) {
        guard let ticket = cache.begin(id, names: [.plain(id)]) else { return }
        cache.finish(
            ticket,
            NearCache.Read(session: session(), name: .plain(id), bytes: 100, lifetime: lifetime, untilTouch: nil))
    }

    @Test("R20: what is watched stays, however many others come, and goes like others once nobody watches it")
    func stays() {
        let cache = cache(entries: 320)
        let ids = (0..<200).map { _ in SessionID() }
        for id in ids {
            cache.watched.add(id)
            cache.watched.add(id)
            keep(cache, id)
        }
        for _ in 0..<5000 { keep(cache, SessionID()) }
        #expect(ids.allSatisfy { cache.keeps($0) })
        #expect(cache.usage.entries <= 320 + 200)
        for id in ids { cache.watched.remove(id) }
        for _ in 0..<5000 { keep(cache, SessionID()) }
        #expect(ids.allSatisfy { cache.keeps($0) }, "each was watched twice")
        for id in ids { cache.watched.remove(id) }
        for _ in 0..<5000 { keep(cache, SessionID()) }
        #expect(!ids.contains { cache.keeps($0) } && cache.usage.entries <= 320)
    }

    @Test("a look is answered from memory, says when the session ends, and is no use of it")
    func peek() throws {
        let cache = cache()
        let id = SessionID()
        #expect(cache.peek(id) == nil)
        let ticket = try #require(cache.begin(id, names: [.plain(id)]))
        cache.finish(
            ticket,
            NearCache.Read(session: session(), name: .plain(id), bytes: 100, lifetime: 20_000, untilTouch: 0))
        let left = try #require(cache.peek(id)).endsAt.timeIntervalSinceNow
        #expect(left > 15 && left <= 20)
        #expect(cache.hit(id)?.mustTouch == true, "the look did not count as the use that is to be noted")
        cache.trackingConfirmed(until: .now() - .nanoseconds(1))
        #expect(cache.peek(id) == nil, "what can't be believed is not shown")
    }

    @Test("R20: a watched session that this process has changed is read anew, so that its end elsewhere is heard of")
    func readAnew() async throws {
        let events = SessionEvents()
        let heard = Mutex<[SessionEvent]>([])
        let stream = events.stream()
        let endWatch = EndWatch(events: events)
        let cache = cache(endWatch: endWatch)
        let (watched, other) = (SessionID(), SessionID())
        let reads = Mutex<[SessionHandle: Int]>([:])
        let gone = Mutex(false)
        cache.watched.add(watched)
        for id in [watched, other] { keep(cache, id) }
        let told = Mutex(0)
        cache.watched.listen { id, _ in if id == watched { told.withLock { $0 += 1 } } }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                await endWatch.run { id in
                    reads.withLock { $0[id.handle, default: 0] += 1 }
                    if gone.withLock({ $0 }) { return .gone }
                    self.keep(cache, id)
                    cache.watched.tell(id, PeekedSession(session: self.session(), endsAt: .now + 600))
                    return .live(isKept: cache.keeps(id))
                }
            }
            group.addTask { for await event in stream { heard.withLock { $0.append(event) } } }
            // As after a refresh, an update or the note of a use.
            cache.drop(watched)
            cache.drop(other)
            try await eventually("the watched one is kept again") { cache.keeps(watched) }
            #expect(!cache.keeps(other))
            #expect(reads.withLock { $0 } == [watched.handle: 1] && told.withLock { $0 } == 1)
            gone.withLock { $0 = true }
            cache.invalidated([ByteBuffer(string: keys.session(.plain(watched)))])
            try await eventually("its end is told") {
                heard.withLock { $0 }.contains { $0.session == watched.handle && $0.kind == .ended(.elsewhere) }
            }
            group.cancelAll()
        }
    }

    @Test("what is not watched costs no read, and a listener hears of what is watched alone")
    func counts() {
        let watched = WatchedSessions()
        let (one, other) = (SessionID(), SessionID())
        let told = Mutex<[SessionID]>([])
        watched.listen { id, _ in told.withLock { $0.append(id) } }
        watched.remove(one)
        #expect(!watched.contains(one))
        watched.add(one)
        watched.remove(other)
        #expect(watched.contains(one) && !watched.contains(other))
        for id in [one, other] { watched.tell(id, PeekedSession(session: session(), endsAt: .now)) }
        #expect(told.withLock { $0 } == [one])
        watched.remove(one)
        #expect(!watched.contains(one))
    }
}
