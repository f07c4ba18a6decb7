import Cloakroom
import Foundation
import NIOCore
import Testing

@testable import CloakroomRedis

@Suite struct NearCacheTests {
    private let keys = KeySchema(sessionPrefix: "session:")

    private func cache(entries: Int = 3200, bytes: Int = 1 << 20, age: Duration = .seconds(300)) -> NearCache {
        var configuration = NearCacheConfiguration()
        configuration.maximumEntries = entries
        configuration.maximumBytes = bytes
        configuration.maximumAge = age
        let cache = NearCache(configuration, keys: keys)
        cache.trackingConfirmed(until: .now() + .seconds(60))
        return cache
    }

    private func session(_ name: String = "first") -> Session {
        Session(
            tokens: TokenSet(accessToken: name), userInfo: UserInfo(subject: "jane"), createdAt: .now,
            expiresAt: .now + 600)
    }

    private func read(
        _ session: Session, _ name: RecordName, bytes: Int = 100, lifetime: Int = 600_000, untilTouch: Int? = nil
    ) -> NearCache.Read {
        NearCache.Read(session: session, name: name, bytes: bytes, lifetime: lifetime, untilTouch: untilTouch)
    }

    /// Reads as the store does: announced, then offered.
    @discardableResult
    private func keep(_ cache: NearCache, _ id: SessionID, sealed: Bool = false, bytes: Int = 100) -> SessionID {
        let name = sealed ? RecordName.sealed(id) : .plain(id)
        if let ticket = cache.begin(id, names: sealed ? [.sealed(id), .plain(id)] : [.plain(id)]) {
            cache.finish(ticket, read(session(), name, bytes: bytes))
        }
        return id
    }

    private func report(_ cache: NearCache, _ names: RecordName...) {
        cache.invalidated(names.map { ByteBuffer(string: keys.session($0)) })
    }

    @Test("what was read is served until its key is reported changed", arguments: [false, true])
    func invalidation(sealed: Bool) {
        let cache = cache()
        let (one, other) = (keep(cache, SessionID(), sealed: sealed), keep(cache, SessionID(), sealed: sealed))
        #expect(cache.hit(one)?.session.tokens.accessToken == "first")
        report(cache, sealed ? .sealed(one) : .plain(one))
        #expect(cache.hit(one) == nil && cache.hit(other) != nil)
        cache.invalidated(nil)
        #expect(cache.hit(other) == nil)
    }

    @Test("a read that was under way when its key was reported changed is not kept", arguments: [false, true])
    func staleRead(sealed: Bool) throws {
        let cache = cache()
        let id = SessionID()
        let name = sealed ? RecordName.sealed(id) : .plain(id)
        let ticket = try #require(cache.begin(id, names: [name]))
        report(cache, name)
        cache.finish(ticket, read(session("old"), name))
        #expect(cache.hit(id) == nil)

        let (early, late) = (
            try #require(cache.begin(id, names: [name])), { try #require(cache.begin(id, names: [name])) }
        )
        report(cache, name)
        let second = try late()
        cache.finish(second, read(session("new"), name))
        cache.finish(early, read(session("old"), name))
        #expect(
            cache.hit(id)?.session.tokens.accessToken == "new", "the one that began before the report does not count")
    }

    @Test("a read is not kept across a moment at which reports may have been missed")
    func interrupted() throws {
        let cache = cache()
        let id = keep(cache, SessionID())
        let ticket = try #require(cache.begin(id, names: [.plain(id)]))
        cache.trackingInterrupted()
        cache.trackingConfirmed(until: .now() + .seconds(60))
        #expect(cache.hit(id) == nil)
        cache.finish(ticket, read(session(), .plain(id)))
        #expect(cache.hit(id) == nil)
    }

    @Test("nothing is served or kept without a confirmation that is still good")
    func trust() {
        let cache = cache()
        let id = keep(cache, SessionID())
        cache.trackingConfirmed(until: .now() - .nanoseconds(1))
        #expect(cache.hit(id) == nil && cache.begin(id, names: [.plain(id)]) == nil)
        cache.trackingConfirmed(until: .now() + .seconds(60))
        #expect(cache.hit(id) != nil, "it was there all the while, and no report has come")
    }

    @Test("an entry ends with the session and with the age limit")
    func deadlines() throws {
        let short = cache(age: .milliseconds(20))
        let cache = cache()
        let (one, other) = (keep(short, SessionID()), SessionID())
        let ticket = try #require(cache.begin(other, names: [.plain(other)]))
        cache.finish(ticket, read(session(), .plain(other), lifetime: 20))
        let end = ContinuousClock.now + .milliseconds(30)
        while ContinuousClock.now < end {}
        #expect(short.hit(one) == nil && cache.hit(other) == nil)
    }

    @Test("bounds in number and bytes hold; what is used stays longer")
    func bounds() {
        let cache = cache(entries: 640, bytes: 32 * 5000)
        let favourite = keep(cache, SessionID())
        for _ in 0..<5000 {
            _ = cache.hit(favourite)
            keep(cache, SessionID(), sealed: .random())
        }
        #expect(cache.usage.entries <= 640 && cache.usage.entries > 300)
        #expect(cache.hit(favourite) != nil)
        for _ in 0..<5000 { keep(cache, SessionID(), bytes: 1000) }
        #expect(cache.usage.bytes <= 32 * 5000)
        keep(cache, favourite, bytes: 6000)
        #expect(cache.usage.bytes <= 32 * 5000, "what is larger than a shard is not kept")
    }

    @Test("what is no longer kept or read leaves nothing behind")
    func noLeaks() {
        let shard = NearCacheShard(maximumEntries: 10, maximumBytes: 10_000)
        var ids: [SessionID] = []
        for number in 0..<1000 {
            let id = SessionID()
            ids.append(id)
            let ticket = shard.begin(NearCacheShard.Key(id), sealedName: .sealed(id))
            let entry = NearCacheShard.Entry(
                session: session(), name: .sealed(id), bytes: 10, deadline: .max, touchDue: nil)
            _ = shard.finish(ticket, number.isMultiple(of: 3) ? nil : entry)
            if number.isMultiple(of: 7) { _ = shard.drop(sealed: .sealed(id)) }
        }
        #expect(shard.count <= 10 && shard.pendingCount == 0 && shard.ownerCount == shard.count)
        for id in ids { shard.drop(NearCacheShard.Key(id)) }
        #expect(shard.count == 0 && shard.ownerCount == 0 && shard.bytes == 0)
    }

    @Test("of many hits at which a use must be noted, one is told so")
    func touching() throws {
        let cache = cache()
        let id = SessionID()
        let ticket = try #require(cache.begin(id, names: [.plain(id)]))
        cache.finish(ticket, read(session(), .plain(id), untilTouch: 0))
        #expect((0..<100).filter { _ in cache.hit(id)?.mustTouch == true }.count == 1)
    }

    @Test("one who waits for a change is woken by its report, and else goes on when the time is over")
    func waiting() async {
        let cache = cache()
        let id = keep(cache, SessionID())
        let start = ContinuousClock.now
        await cache.waitForChange(of: id, atMost: .milliseconds(20))
        #expect(ContinuousClock.now - start >= .milliseconds(20))
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<100 { group.addTask { await cache.waitForChange(of: id, atMost: .seconds(60)) } }
            group.addTask {
                // Reported again and again, as those that wait may not have begun yet.
                while !Task.isCancelled {
                    report(cache, .plain(id))
                    await Task.yield()
                }
            }
            for _ in 0..<100 { await group.next() }
            group.cancelAll()
        }
        #expect(ContinuousClock.now - start < .seconds(30))
    }

    @Test("reads, reports and writes of many tasks at once: nothing is served that was reported before it was read")
    func races() async {
        let cache = cache(entries: 64)
        let ids = (0..<8).map { _ in SessionID() }
        // What the server holds: each write is reported before the next read of it can be answered.
        let versions = ids.map { _ in Versions() }
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<4 {
                group.addTask {
                    for round in 0..<20_000 {
                        let number = (round &* 31 &+ task) % ids.count
                        let id = ids[number]
                        let before = versions[number].reported
                        if let hit = cache.hit(id) {
                            let served = Int(hit.session.tokens.accessToken) ?? -1
                            if served < before { Issue.record("served \(served) after \(before) was reported") }
                            continue
                        }
                        guard let ticket = cache.begin(id, names: [.plain(id)]) else { continue }
                        let value = versions[number].current
                        if round.isMultiple(of: 3) { await Task.yield() }
                        cache.finish(ticket, read(session("\(value)"), .plain(id)))
                    }
                }
            }
            group.addTask {
                for round in 0..<20_000 {
                    let number = round % ids.count
                    let version = versions[number].write()
                    report(cache, .plain(ids[number]))
                    versions[number].noteReport(of: version)
                    if round.isMultiple(of: 5) { await Task.yield() }
                }
            }
        }
    }
}
