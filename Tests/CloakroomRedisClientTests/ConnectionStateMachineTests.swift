import TestSupport
import Testing

@testable import CloakroomRedisClient

@Suite struct ConnectionStateMachineTests {
    private typealias Machine = ConnectionStateMachine<String>

    private func answer(_ action: Machine.ReceiveAction) -> (String, [RESPValue])? {
        if case .answer(let request, let replies) = action { (request, replies.all) } else { nil }
    }

    private func expect(
        _ actual: (String, [RESPValue])?, _ expected: (String, [RESPValue]),
        at location: SourceLocation = #_sourceLocation
    ) {
        #expect(actual?.0 == expected.0 && actual?.1 == expected.1, sourceLocation: location)
    }

    @Test("replies go to the requests in the order of writing, pushes to none of them")
    func order() {
        var machine = Machine()
        for (name, count) in [("a", 1), ("b", 2), ("c", 1)] { _ = machine.write(name, expecting: count) }
        expect(answer(machine.receive(.number(1))), ("a", [.number(1)]))
        guard case .wait = machine.receive(.number(2)) else {
            Issue.record("b waits for its second reply")
            return
        }
        guard case .push = machine.receive(.push([.null])) else {
            Issue.record("a push is no reply")
            return
        }
        expect(answer(machine.receive(.number(3))), ("b", [.number(2), .number(3)]))
        #expect(machine.inFlightCount == 1)
        expect(answer(machine.receive(.null)), ("c", [.null]))
    }

    @Test("a reply to nothing closes the connection")
    func outOfStep() {
        var machine = Machine()
        guard case .close = machine.receive(.null) else {
            Issue.record("nothing was asked")
            return
        }
        _ = machine.write("a", expecting: 1)
        _ = machine.receive(.null)
        guard case .close = machine.receive(.null) else {
            Issue.record("all was answered")
            return
        }
    }

    @Test("closing hands back what has no answer, once, in order")
    func closing() {
        var machine = Machine()
        for name in ["a", "b", "c"] { _ = machine.write(name, expecting: 2) }
        _ = machine.receive(.null)
        _ = machine.receive(.null)
        _ = machine.receive(.null)
        let (first, second) = (machine.close(), machine.close())
        #expect(first == ["b", "c"] && second.isEmpty)
        let isWritten = machine.write("d", expecting: 1)
        #expect(!isWritten)
        guard case .close = machine.receive(.null) else {
            Issue.record("closed")
            return
        }
    }

    @Test("draining refuses new requests and ends when all is answered")
    func draining() {
        var machine = Machine()
        _ = machine.write("a", expecting: 1)
        machine.drain()
        let isWritten = machine.write("b", expecting: 1)
        #expect(!isWritten && !machine.isDrained)
        expect(answer(machine.receive(.null)), ("a", [.null]))
        #expect(machine.isDrained)
    }
}

@Suite struct BackoffTests {
    @Test("steps double up to the limit, each with jitter of half a step")
    func steps() {
        var backoff = Backoff(first: .milliseconds(20), limit: .milliseconds(200))
        var generator = SeededGenerator()
        for step in [20, 40, 80, 160, 200, 200] {
            let delay = backoff.delay(using: &generator)
            #expect(delay >= .milliseconds(step) / 2 && delay <= .milliseconds(step))
        }
        backoff.reset()
        #expect(backoff.delay(using: &generator) <= .milliseconds(20))
    }
}
