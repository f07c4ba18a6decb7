import Cloakroom
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import CloakroomOIDC

/// A provider that is down for a while under 200 requests a second, in a short form; with `CLOAKROOM_LONG=1` for a minute.
@Suite("A provider that is down", .timeLimit(.minutes(5)))
struct ProviderOutageTests {
    private struct Plan {
        let sessions: Int
        let lifetimes: ClosedRange<Int>
        let down: Duration
        let firstStep: Duration
        let longestStep: Duration
        let requestTimeout: Duration

        static let current =
            !Soak.isOn
            ? Plan(
                sessions: 100, lifetimes: 3...6, down: .seconds(8), firstStep: .milliseconds(500),
                longestStep: .seconds(2), requestTimeout: .milliseconds(800))
            : Plan(
                sessions: 1000, lifetimes: 20...60, down: .seconds(60), firstStep: .seconds(1),
                longestStep: .seconds(30), requestTimeout: .seconds(2))

        /// How many steps fit into the time at most, each shortened by chance as far as can be.
        var mostSteps: Int {
            var steps = 0
            var time = 0.0
            while time <= down.inSeconds {
                let step = min(firstStep.inSeconds * Double(1 << min(steps, 20)), longestStep.inSeconds)
                time += step * (1 - RefreshBackoff.jitter)
                steps += 1
            }
            return steps
        }
    }

    private struct Tally {
        var requests = 0
        var good = 0
        var refused = 0
        /// 503 although the token had not ended.
        var refusedEarly = 0
        var ended = 0
        var errors: [String] = []
        /// What a request with a good token took, in seconds.
        var times: [Double] = []
        var lastRefusal: ContinuousClock.Instant?
    }

    @Test(
        "R24, R52: good tokens go on without waiting, the provider is asked once per session and step, recovery in one step"
    )
    func outage() async throws {
        let plan = Plan.current
        try await TestBench.run {
            $0.tokens = {
                $0 = [
                    "access_token": "access-2", "token_type": "Bearer",
                    "expires_in": .number("\(Int.random(in: plan.lifetimes))"),
                ]
            }
        } _: { bench in
            let store = InMemorySessionStore(logger: quietLogger)
            let party = bench.relyingParty { $0.requestTimeout = plan.requestTimeout }
            try await party.warmUp()
            var configuration = TokenRefresherConfiguration()
            configuration.firstBackoff = plan.firstStep
            configuration.longestBackoff = plan.longestStep
            let refresher = TokenRefresher(
                store: store, relyingParty: party, configuration: configuration, logger: quietLogger)
            var ids: [SessionID] = []
            for number in 0..<plan.sessions {
                ids.append(
                    try await store.createSession(
                        tokens: TokenSet(
                            accessToken: "access-1", refreshToken: "refresh-\(number)",
                            expiresIn: Int.random(in: plan.lifetimes)),
                        userInfo: UserInfo(subject: "alice")))
            }
            let tally = Shared(Tally())
            let load = Task { [ids] in
                await withDiscardingTaskGroup { group in
                    var next = ContinuousClock.now
                    while !Task.isCancelled {
                        next += .milliseconds(5)
                        try? await Task.sleep(until: next)
                        let id = ids.randomElement() ?? SessionID()
                        group.addTask { await Self.request(id, store, refresher, tally) }
                    }
                }
            }
            defer { load.cancel() }
            func down(_ reply: ScriptedProvider.Reply?) { bench.provider.change { $0.replies[.token] = reply } }
            let before = bench.provider.requests(to: .token).count
            down(.hang)
            try await Task.sleep(for: plan.down / 3)
            down(.json(503, ["error": "temporarily_unavailable"]))
            try await Task.sleep(for: plan.down / 3)
            down(.body(status: 200, type: "text/html", text: "<h1>Maintenance</h1>"))
            try await Task.sleep(for: plan.down / 3)
            let calls = bench.provider.requests(to: .token).dropFirst(before)
            let duringOutage = tally.withLock { $0 }
            down(nil)
            let up = ContinuousClock.now
            try await eventually("it recovers", within: plan.longestStep + .seconds(2)) {
                tally.withLock { $0.lastRefusal ?? up } + .milliseconds(500) < .now
                    && bench.provider.requests(to: .token).count > before + calls.count
            }
            load.cancel()
            await load.value
            let after = tally.withLock { $0 }
            let recovery = max(0, (after.lastRefusal.map { up.duration(to: $0) } ?? .zero).inSeconds)

            let perSession = Dictionary(grouping: calls) { $0.form["refresh_token"] ?? "" }.mapValues(\.count)
            let times = after.times.sorted()
            print(
                """
                provider down for \(plan.down), \(plan.sessions) sessions, steps from \(plan.firstStep) to \
                \(plan.longestStep): \(duringOutage.requests) requests, \(duringOutage.good) with a good token, \
                \(duringOutage.refused) refused (\(after.refusedEarly) before the token's end); token calls \
                \(calls.count), for one session at most \(perSession.values.max() ?? 0) of \(plan.mostSteps) steps; \
                with a good token p99 \(milliseconds(times, 0.99)) ms, longest \(milliseconds(times, 1)) ms; \
                last refusal \(Int(recovery * 1000)) ms after the recovery
                """)
            #expect(after.errors.isEmpty, "\(after.errors.prefix(3))")
            #expect(after.ended == 0)
            #expect(duringOutage.refused > 0, "no token ended while the provider was down")
            #expect(after.refusedEarly == 0)
            #expect(perSession.values.allSatisfy { $0 <= plan.mostSteps })
            // Once it is known to be down, one call a step in all.
            #expect(calls.count <= plan.sessions + plan.mostSteps)
            #expect(times.last ?? 0 < plan.requestTimeout.inSeconds / 2, "a request with a good token waited")
            #expect(recovery <= plan.longestStep.inSeconds + 0.5)
            for id in ids { #expect(try await store.session(for: id) != nil) }
        }
    }

    private func milliseconds(_ sorted: [Double], _ share: Double) -> String {
        guard !sorted.isEmpty else { return "-" }
        return String(format: "%.2f", sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))] * 1000)
    }

    private static func request(
        _ id: SessionID, _ store: InMemorySessionStore, _ refresher: TokenRefresher, _ tally: Shared<Tally>
    ) async {
        do {
            guard let session = try await store.session(for: id) else {
                tally.withLock { $0.ended += 1 }
                return
            }
            let need = refresher.need(of: session)
            let start = ContinuousClock.now
            let outcome = try await refresher.freshSession(session, for: id)
            let time = start.duration(to: .now).inSeconds
            let hasEnded = refresher.need(of: session) == .overdue
            tally.withLock { tally in
                tally.requests += 1
                if need == .none || need == .soon { tally.times.append(time) }
                switch outcome {
                case .ready: tally.good += 1
                case .ended: tally.ended += 1
                case .providerUnavailable:
                    tally.refused += 1
                    tally.lastRefusal = .now
                    if !hasEnded { tally.refusedEarly += 1 }
                }
            }
        } catch {
            tally.withLock { $0.errors.append("\(error)") }
        }
    }
}
