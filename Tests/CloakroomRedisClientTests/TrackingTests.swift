import Logging
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import CloakroomRedisClient

private func milliseconds(_ count: Int) -> NIODeadline {
    .uptimeNanoseconds(1_000_000_000_000) + .milliseconds(Int64(count))
}

/// Notes what it is told.
private final class Recorder: InvalidationObserver {
    enum Event: Equatable {
        case invalidated([String]?)
        case interrupted
        case confirmed(NIODeadline)
    }

    private let noted = Mutex<[Event]>([])
    var events: [Event] { noted.withLock { $0 } }

    func invalidated(_ keys: [ByteBuffer]?) {
        noted.withLock { $0.append(.invalidated(keys?.map { String(buffer: $0) })) }
    }
    func trackingInterrupted() { noted.withLock { $0.append(.interrupted) } }
    func trackingConfirmed(until: NIODeadline) { noted.withLock { $0.append(.confirmed(until)) } }
}

private let refusal = RedisServerError(
    message: "NOPERM User app has no permissions to run the 'client|tracking' command")

@Suite struct TrackingMonitorTests {
    private let recorder = Recorder()
    private let monitor: TrackingMonitor

    init() {
        monitor = TrackingMonitor(
            observer: recorder, trust: .seconds(1), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    @Test("what is confirmed is the earliest of what the connections have proved, and never goes back")
    func earliest() {
        let first = monitor.join(refusal: nil, provenAt: milliseconds(0))
        let second = monitor.join(refusal: nil, provenAt: milliseconds(10))
        monitor.proved(first, at: milliseconds(100))
        #expect(recorder.events == [.confirmed(milliseconds(1010))])
        monitor.proved(first, at: milliseconds(200))
        #expect(recorder.events.count == 1, "the second holds it back")
        monitor.proved(second, at: milliseconds(150))
        #expect(recorder.events.last == .confirmed(milliseconds(1150)))
        let third = monitor.join(refusal: nil, provenAt: milliseconds(50))
        monitor.proved(second, at: milliseconds(300))
        #expect(recorder.events.count == 2)
        monitor.proved(third, at: milliseconds(400))
        #expect(recorder.events.last == .confirmed(milliseconds(1200)))
    }

    @Test("the end of a connection is an interruption; afterwards the others count alone")
    func loss() {
        let first = monitor.join(refusal: nil, provenAt: milliseconds(0))
        let second = monitor.join(refusal: nil, provenAt: milliseconds(0))
        monitor.proved(first, at: milliseconds(100))
        monitor.leave(second)
        monitor.leave(second)
        #expect(recorder.events == [.confirmed(milliseconds(1000)), .interrupted], "told once")
        monitor.proved(second, at: milliseconds(200))
        #expect(recorder.events.count == 2, "it is gone")
        monitor.proved(first, at: milliseconds(110))
        #expect(recorder.events.last == .confirmed(milliseconds(1110)))
        monitor.leave(first)
        #expect(recorder.events.last == .interrupted)
    }

    @Test("after an interruption the same point in time is confirmed anew")
    func confirmedAnew() {
        let member = monitor.join(refusal: nil, provenAt: milliseconds(0))
        monitor.proved(member, at: milliseconds(100))
        monitor.interrupt()
        monitor.proved(member, at: milliseconds(100))
        #expect(recorder.events == [.confirmed(milliseconds(1100)), .interrupted, .confirmed(milliseconds(1100))])
    }

    @Test("a connection whose server reports nothing ends all trust, until it is gone; the log says so once")
    func blind() {
        let log = RecordingLog()
        let monitor = TrackingMonitor(observer: recorder, trust: .seconds(1), logger: log.logger)
        let seeing = monitor.join(refusal: nil, provenAt: milliseconds(0))
        monitor.proved(seeing, at: milliseconds(10))
        let blind = monitor.join(refusal: refusal, provenAt: milliseconds(20))
        #expect(recorder.events.last == .interrupted)
        monitor.proved(seeing, at: milliseconds(200))
        monitor.proved(blind, at: milliseconds(200))
        let another = monitor.join(refusal: refusal, provenAt: milliseconds(20))
        monitor.leave(another)
        monitor.proved(seeing, at: milliseconds(300))
        #expect(!recorder.events.dropFirst().contains { if case .confirmed = $0 { true } else { false } })
        monitor.leave(blind)
        #expect(recorder.events.last == .interrupted, "what was read over it must go before anything is believed")
        monitor.proved(seeing, at: milliseconds(400))
        #expect(recorder.events.last == .confirmed(milliseconds(1400)))
        #expect(log.lines.count == 1 && log.lines[0].contains("NOPERM") && !log.lines[0].contains("User app"))
    }
}

@Suite struct ConnectionTrackingTests {
    private let recorder = Recorder()
    private let monitor: TrackingMonitor

    init() {
        monitor = TrackingMonitor(
            observer: recorder, trust: .seconds(1), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    @Test("the handshake proves nothing by itself, and counts as proof for the connection that joins")
    func handshake() {
        var tracking = ConnectionTracking(monitor)
        tracking.wrote(1, at: milliseconds(0))
        tracking.received(inFlight: 0)
        #expect(recorder.events.isEmpty && !tracking.isPingDue(now: milliseconds(10_000)))
        tracking.begin(refusal: nil)
        var other = ConnectionTracking(monitor)
        other.begin(refusal: nil)
        other.wrote(1, at: milliseconds(300))
        other.received(inFlight: 0)
        #expect(recorder.events == [.confirmed(milliseconds(1000))], "the first joined with what its handshake proved")
    }

    @Test("a connection that ends is reported once; one that never began, never")
    func ending() {
        var tracking = ConnectionTracking(monitor)
        tracking.end()
        tracking.begin(refusal: nil)
        #expect(recorder.events.isEmpty && !tracking.isPingDue(now: milliseconds(0)))
        var used = ConnectionTracking(monitor)
        used.begin(refusal: nil)
        #expect(used.isPingDue(now: milliseconds(0)))
        used.end()
        used.end()
        #expect(recorder.events == [.interrupted] && !used.isPingDue(now: milliseconds(0)))
    }

    @Test("a connection that is not tracked is not pinged")
    func blind() {
        var tracking = ConnectionTracking(monitor)
        tracking.begin(refusal: refusal)
        #expect(!tracking.isPingDue(now: milliseconds(0)))
    }
}

@Suite struct FreshnessProbeTests {
    @Test(
        "the reply to a request proves what the time was when that was written, not an earlier reply, not a later write"
    )
    func proof() {
        var probe = FreshnessProbe()
        probe.wrote(3, at: milliseconds(0))
        probe.wrote(2, at: milliseconds(1))
        #expect(probe.received(inFlight: 5) == nil)
        let proven = probe.received(inFlight: 4)
        #expect(proven == milliseconds(0))
        #expect(probe.received(inFlight: 0) == nil, "one at a time")
        probe.wrote(10, at: milliseconds(100))
        probe.wrote(1, at: milliseconds(200))
        #expect(probe.received(inFlight: 11) == nil)
        let next = probe.received(inFlight: 10)
        #expect(next == milliseconds(100))
    }

    @Test("with much traffic, one request in 100 ms is remembered, and no PING is due")
    func spacing() {
        var probe = FreshnessProbe()
        var proofs: [NIODeadline] = []
        for time in stride(from: 0, to: 1000, by: 10) {
            probe.wrote(5, at: milliseconds(time))
            #expect(!probe.isPingDue(now: milliseconds(time)))
            if let proof = probe.received(inFlight: 0) { proofs.append(proof) }
        }
        #expect(proofs == stride(from: 0, to: 1000, by: 100).map { milliseconds($0) })
    }

    @Test("without traffic a PING is due after a while, and no second one while the first has no reply")
    func silence() {
        var probe = FreshnessProbe()
        #expect(probe.isPingDue(now: milliseconds(0)))
        probe.wrote(1, at: milliseconds(0))
        #expect(!probe.isPingDue(now: milliseconds(5000)))
        _ = probe.received(inFlight: 0)
        #expect(!probe.isPingDue(now: milliseconds(199)) && probe.isPingDue(now: milliseconds(200)))
    }

    @Test("writing nothing is no proof")
    func nothing() {
        var probe = FreshnessProbe()
        probe.wrote(0, at: milliseconds(0))
        #expect(probe.received(inFlight: 0) == nil)
    }
}

@Suite struct InvalidationTests {
    private func bulk(_ text: String) -> RESPValue { .bulk(ByteBuffer(string: text)) }

    @Test("keys, all keys, and other pushes")
    func forms() {
        let two = Invalidation([bulk("invalidate"), .array([bulk("a"), bulk("b")])])
        #expect(two?.keys == [ByteBuffer(string: "a"), ByteBuffer(string: "b")])
        let all = Invalidation([bulk("invalidate"), .null])
        #expect(all != nil && all?.keys == nil)
        #expect(Invalidation([.simpleString("invalidate"), .array([])])?.keys == [])
        for other in [[bulk("message"), bulk("invalidate"), bulk("x")], [bulk("invalidated"), .null], [.null], []] {
            #expect(Invalidation(other) == nil)
        }
    }

    @Test(
        "one that can't be understood stands for all keys",
        arguments: [
            [], [.number(1)], [.array([.null])], [.array([.oversized(bytes: 1 << 30)])], [.array([]), .null],
            [.set([.bulk(ByteBuffer(string: "a"))])], [.array([.bulk(ByteBuffer(string: "a")), .number(1)])],
            [.error(RedisServerError(message: "ERR"))],
        ] as [[RESPValue]])
    func malformed(_ rest: [RESPValue]) {
        let invalidation = Invalidation([bulk("invalidate")] + rest)
        #expect(invalidation != nil && invalidation?.keys == nil)
    }
}
