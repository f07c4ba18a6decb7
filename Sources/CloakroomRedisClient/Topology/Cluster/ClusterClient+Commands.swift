import NIOCore

extension ClusterClient {
    // MARK: One command

    /// - Returns: the reply, errors included that no other node can help with.
    func send(_ command: RedisCommand) async throws -> RESPValue {
        let deadline = deadline
        let slot = command.slot
        var attempt = ClusterAttempt(isIdempotent: command.isIdempotent)
        var target = ClusterAttempt.Target.owner
        while true {
            let member = try await member(target, slot: slot, deadline: deadline)
            let step: ClusterAttempt.Step
            do {
                let reply = try await Self.transmit(command, to: member.node, target, deadline)
                guard case .error(let error) = reply, let next = attempt.step(after: error, from: member.endpoint),
                    note(next, deadline)
                else { return reply }
                step = next
            } catch let error as RedisClientError {
                step = try recover(&attempt, error, slot: slot, member, deadline)
            }
            try await Self.wait(step.delay)
            target = step.target
        }
    }

    private static func transmit(
        _ command: RedisCommand, to node: RedisNode, _ target: ClusterAttempt.Target, _ deadline: NIODeadline
    ) async throws -> RESPValue {
        guard case .ask = target else { return try await node.send(command, deadline: deadline) }
        return try await node.send(pipeline: [.asking, command], deadline: deadline)[1]
    }

    /// Takes note of what a step says of the map.
    ///
    /// - Returns: `false` if there is no time for the step.
    private func note(_ step: ClusterAttempt.Step, _ deadline: NIODeadline) -> Bool {
        if case .moved(let endpoint) = step.target, let slot = step.movedSlot {
            moved(slot, to: endpoint)
        } else if step.wantsMap {
            wantMap()
        }
        return NIODeadline.now() + step.delay < deadline
    }

    /// What to do after an error of the client's.
    ///
    /// - Throws: the error if nothing is to be done.
    private func recover(
        _ attempt: inout ClusterAttempt, _ error: RedisClientError, slot: Int?, _ member: Member,
        _ deadline: NIODeadline
    ) throws -> ClusterAttempt.Step {
        // The client itself may have been shut down, which finding a node will tell.
        let hasMoved = owner(of: slot).map { $0 != member.endpoint } ?? false
        guard let step = attempt.step(after: error, hasMoved: hasMoved), note(step, deadline) else {
            wantMap()
            throw error
        }
        return step
    }

    private static func wait(_ delay: TimeAmount) async throws {
        if delay > .zero { try await Task.sleep(for: .nanoseconds(delay.nanoseconds)) }
    }

    // MARK: Many commands

    private struct Item {
        let index: Int
        let command: RedisCommand
        let slot: Int?
        var attempt: ClusterAttempt
        var target = ClusterAttempt.Target.owner
    }

    private struct Group {
        let member: Member
        var items: [Item]
    }

    /// Sends each command to its node, those for one node together, those for several nodes at the same time.
    ///
    /// - Returns: a reply for each, in their order, errors included that no other node can help with.
    func send(pipeline commands: [RedisCommand]) async throws -> [RESPValue] {
        let deadline = deadline
        var replies = [RESPValue](repeating: .null, count: commands.count)
        var pending = commands.enumerated().map { index, command in
            Item(
                index: index, command: command, slot: command.slot,
                attempt: ClusterAttempt(isIdempotent: command.isIdempotent))
        }
        while !pending.isEmpty {
            let groups = try await grouped(pending, deadline)
            var again: [Item] = []
            var delay = TimeAmount.zero
            for (group, result) in await Self.transmit(groups, deadline) {
                switch result {
                case .success(let answers):
                    for (item, reply) in zip(group.items, answers) {
                        var item = item
                        guard case .error(let error) = reply,
                            let step = item.attempt.step(after: error, from: group.member.endpoint),
                            note(step, deadline)
                        else {
                            replies[item.index] = reply
                            continue
                        }
                        delay = max(delay, step.delay)
                        item.target = step.target
                        again.append(item)
                    }
                case .failure(let error):
                    guard let error = error as? RedisClientError else { throw error }
                    for var item in group.items {
                        let step = try recover(&item.attempt, error, slot: item.slot, group.member, deadline)
                        delay = max(delay, step.delay)
                        item.target = step.target
                        again.append(item)
                    }
                }
            }
            pending = again.sorted { $0.index < $1.index }
            try await Self.wait(delay)
        }
        return replies
    }

    /// Sorts commands by the node that they go to. Those without a key join others.
    private func grouped(_ items: [Item], _ deadline: NIODeadline) async throws -> [Group] {
        var groups: [Group] = []
        var positions: [RedisEndpoint: Int] = [:]
        var homeless: [Item] = []
        for item in items {
            if item.slot == nil, item.target == .owner {
                homeless.append(item)
                continue
            }
            let member = try await member(item.target, slot: item.slot, deadline: deadline)
            if let position = positions[member.endpoint] {
                groups[position].items.append(item)
            } else {
                positions[member.endpoint] = groups.count
                groups.append(Group(member: member, items: [item]))
            }
        }
        guard !homeless.isEmpty else { return groups }
        if groups.isEmpty {
            return [Group(member: try await member(.owner, slot: nil, deadline: deadline), items: homeless)]
        }
        groups[0].items = (groups[0].items + homeless).sorted { $0.index < $1.index }
        return groups
    }

    private static func transmit(
        _ groups: [Group], _ deadline: NIODeadline
    ) async -> [(Group, Result<[RESPValue], any Error>)] {
        if groups.count == 1 { return [(groups[0], await transmit(groups[0], deadline))] }
        return await withTaskGroup(of: (Int, Result<[RESPValue], any Error>).self) { tasks in
            for (position, group) in groups.enumerated() {
                tasks.addTask { (position, await transmit(group, deadline)) }
            }
            var results: [(Group, Result<[RESPValue], any Error>)] = []
            for await (position, result) in tasks { results.append((groups[position], result)) }
            return results
        }
    }

    private static func transmit(_ group: Group, _ deadline: NIODeadline) async -> Result<[RESPValue], any Error> {
        var commands: [RedisCommand] = []
        var places: [Int] = []
        commands.reserveCapacity(group.items.count)
        for item in group.items {
            if case .ask = item.target { commands.append(.asking) }
            places.append(commands.count)
            commands.append(item.command)
        }
        do {
            let replies = try await group.member.node.send(pipeline: commands, deadline: deadline)
            return .success(places.map { replies[$0] })
        } catch {
            return .failure(error)
        }
    }

    // MARK: Commands that belong together

    /// Sends commands of one slot together over one connection to its node. They are all sent again, to another node or
    /// later, if the first that has a key was not carried out.
    ///
    /// - Returns: a reply for each, errors included that no other node can help with.
    func send(contiguous commands: [RedisCommand]) async throws -> [RESPValue] {
        let deadline = deadline
        let first = commands.firstIndex { $0.keyIndex != nil }
        let slot = first.flatMap { commands[$0].slot }
        var attempt = ClusterAttempt(isIdempotent: commands.isIdempotentAsGroup)
        var target = ClusterAttempt.Target.owner
        while true {
            let member = try await member(target, slot: slot, deadline: deadline)
            let step: ClusterAttempt.Step
            do {
                let replies = try await Self.transmit(contiguous: commands, to: member.node, target, deadline)
                guard let first, case .error(let error) = replies[first],
                    let next = attempt.step(after: error, from: member.endpoint), note(next, deadline)
                else { return replies }
                step = next
            } catch let error as RedisClientError {
                step = try recover(&attempt, error, slot: slot, member, deadline)
            }
            try await Self.wait(step.delay)
            target = step.target
        }
    }

    private static func transmit(
        contiguous commands: [RedisCommand], to node: RedisNode, _ target: ClusterAttempt.Target,
        _ deadline: NIODeadline
    ) async throws -> [RESPValue] {
        guard case .ask = target else { return try await node.send(pipeline: commands, deadline: deadline) }
        let asking = commands.flatMap { $0.keyIndex == nil ? [$0] : [.asking, $0] }
        let replies = try await node.send(pipeline: asking, deadline: deadline)
        var position = 0
        return commands.map { command in
            defer { position += 1 }
            if command.keyIndex != nil { position += 1 }
            return replies[position]
        }
    }
}
