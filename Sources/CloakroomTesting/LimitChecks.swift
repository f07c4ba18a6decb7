import Cloakroom

extension StoreConformance {
    static let limitChecks: [Check] = [
        Check(
            "R18: a session ends at its absolute limit, whatever use and refreshes",
            policy: SessionPolicy(absoluteLifetime: .seconds(2))
        ) { subject in
            let start = ContinuousClock.now
            let id = try await subject.store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            let isLive = try await subject.store.session(for: id) != nil
            // Times are in whole seconds, so the limit of 2 s may come after a little more than 1.
            try expect(isLive || .now - start > .milliseconds(900), "it begins live")
            try await waitUntil("it ends although it is used and refreshed all the time") {
                let refreshed = try await subject.replica.refreshSession(id, tokens: Sample.tokens("again"))
                let read = try await subject.store.session(for: id)
                return refreshed == nil && read == nil
            }
            try expect(try await subject.replica.session(for: id) == nil, "it is ended for every replica")
        },
        Check("R18: an unused session ends at its idle limit", policy: SessionPolicy(idleTimeout: .seconds(1))) {
            subject in
            let id = try await subject.store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            let end = ContinuousClock.now + .seconds(10)
            // Each look is a use, so look once after the limit and not before.
            try await Task.sleep(for: .milliseconds(1200))
            while try await subject.store.session(for: id) != nil {
                guard ContinuousClock.now < end else { throw ConformanceFailure("it ends when it is not used") }
                try await Task.sleep(for: .milliseconds(1200))
            }
        },
        Check(
            "R18: use keeps a session beyond the idle limit, but never beyond the absolute one",
            policy: SessionPolicy(absoluteLifetime: .seconds(4), idleTimeout: .seconds(1))
        ) { subject in
            // A machine that is busy may let so much time pass between two uses that the session rightly ends: then again.
            for _ in 0..<5 {
                let id = try await subject.store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
                let start = ContinuousClock.now
                // When the last use that found it live began.
                var lastLive = start
                var longestGap = Duration.zero
                try await waitUntil("it ends at the absolute limit") {
                    let asked = ContinuousClock.now
                    let isLive = try await subject.store.session(for: id) != nil
                    longestGap = max(longestGap, .now - lastLive)
                    if isLive { lastLive = asked }
                    return !isLive
                }
                try expect(lastLive - start < .seconds(4.5), "the absolute limit of 4 s held")
                // Times are in whole seconds, so the limit of 4 s may come after a little more than 3.
                if lastLive - start > .seconds(2) { return }
                try expect(longestGap > .milliseconds(700), "use kept it beyond the idle limit of 1 s")
            }
            throw ConformanceFailure("the machine was too busy to use a session once a second")
        },
        Check(
            "R18: a refresh is no use: it does not move the idle limit", policy: SessionPolicy(idleTimeout: .seconds(1))
        ) { subject in
            let id = try await subject.store.createSession(tokens: Sample.tokens(), userInfo: Sample.userInfo)
            try await waitUntil("it ends although it is refreshed all the time", within: .seconds(5)) {
                try await subject.replica.refreshSession(id, tokens: Sample.tokens("again")) == nil
            }
            try expect(try await subject.store.session(for: id) == nil, "it is ended for every replica")
        },
    ]
}
