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

    /// What the tests below have seen.
    private final class Seen: Sendable {
        let events = Mutex<[SessionEvent]>([])
        let reads = Mutex<[SessionHandle: Int]>([:])
        let changes = Mutex<[SessionID]>([])
        let isGone = Mutex(false)
    }

    @Test("R20: a watched session that this process has changed is read anew, so that its end elsewhere is heard of")
    func readAnew() async throws {
        let events = SessionEvents()
        let stream = events.stream()
        let endWatch = EndWatch(events: events)
        let cache = cache(endWatch: endWatch)
        let (watched, other) = (SessionID(), SessionID())
        let seen = Seen()
        cache.watched.add(watched)
        for id in [watched, other] { keep(cache, id) }
        cache.watched.listen { id, _ in seen.changes.withLock { $0.append(id) } }
        let peeked = PeekedSession(session: session(), endsAt: .now + 600)
        let reading = Task {
            await endWatch.run { id in
                seen.reads.withLock { $0[id.handle, default: 0] += 1 }
                if seen.isGone.withLock({ $0 }) { return .gone }
                if let ticket = cache.begin(id, names: [.plain(id)]) {
                    cache.finish(
                        ticket,
                        NearCache.Read(
                            session: peeked.session, name: .plain(id), bytes: 100, lifetime: 600_000, untilTouch: nil))
                }
                cache.watched.tell(id, peeked)
                return .live(isKept: cache.keeps(id))
            } note: { _ in
                nil
            }
        }
        let hearing = Task { for await event in stream { seen.events.withLock { $0.append(event) } } }
        defer {
            reading.cancel()
            hearing.cancel()
        }
        // As after a refresh, an update or the note of a use.
        cache.drop(watched)
        cache.drop(other)
        try await eventually("the watched one is kept again") { cache.keeps(watched) }
        #expect(!cache.keeps(other))
        try await eventually("its change is told") { seen.changes.withLock { $0 } == [watched] }
        #expect(seen.reads.withLock { $0 } == [watched.handle: 1])
        seen.isGone.withLock { $0 = true }
        cache.invalidated([ByteBuffer(string: keys.session(.plain(watched)))])
        try await eventually("its end is told") {
            seen.events.withLock { $0 }.contains { $0.session == watched.handle && $0.kind == .ended(.elsewhere) }
        }
    }

    @Test("what is not watched costs no read, and a listener hears of what is watched alone")
    func counts() {
        let watched = WatchedSessions()
        let (one, other) = (SessionID(), SessionID())
        let seen = Seen()
        watched.listen { id, _ in seen.changes.withLock { $0.append(id) } }
        watched.remove(one)
        #expect(!watched.contains(one))
        watched.add(one)
        watched.remove(other)
        #expect(watched.contains(one) && !watched.contains(other))
        for id in [one, other] { watched.tell(id, PeekedSession(session: session(), endsAt: .now)) }
        #expect(seen.changes.withLock { $0 } == [one])
        watched.remove(one)
        #expect(!watched.contains(one))
    }
}
