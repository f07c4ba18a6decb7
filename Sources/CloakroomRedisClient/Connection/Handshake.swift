/// What is said on a new connection before callers use it, and what the answers mean.
///
/// The commands go out together, in one round trip.
struct Handshake {
    /// What an accepted connection is good for.
    struct Outcome {
        /// Why the server does not report changes of keys on it; `nil` if it does, or was not asked to.
        var trackingRefusal: RedisServerError?
    }

    /// All commands, in order.
    let commands: [RedisCommand]
    /// How many of the first ones the server must carry out.
    private let requiredCount: Int
    /// Where the answer to `CLIENT TRACKING ON` is, if it is sent.
    private let trackingIndex: Int?
    private let pingIndex: Int
    private let greetingRange: Range<Int>
    private let accept: @Sendable ([RESPValue]) throws -> Void

    /// Puts the commands together.
    ///
    /// - Parameters:
    ///   - greeting: further commands, to find out what kind of server it is.
    ///   - accept: judges the replies to them, errors included; throws to refuse the server.
    init(
        configuration: RedisClientConfiguration, greeting: [RedisCommand],
        accept: @escaping @Sendable ([RESPValue]) throws -> Void
    ) {
        let url = configuration.url
        var commands: [RedisCommand] = [
            .hello(user: url.user, password: url.password, clientName: configuration.clientName)
        ]
        if url.database != 0 { commands.append(.select(url.database)) }
        requiredCount = commands.count
        trackingIndex = configuration.invalidationObserver == nil ? nil : commands.count
        if trackingIndex != nil { commands.append(.trackingOn(prefix: configuration.trackedPrefix)) }
        pingIndex = commands.count
        commands.append(.ping)
        greetingRange = commands.count..<(commands.count + greeting.count)
        commands += greeting
        commands.append(.setInfo("LIB-NAME", "cloakroom"))
        self.commands = commands
        self.accept = accept
    }

    /// Judges the replies, one for each command.
    ///
    /// - Throws: ``RedisClientError`` that says why the connection can't be used; what `accept` throws.
    func judge(_ replies: [RESPValue]) throws -> Outcome {
        for (command, reply) in zip(commands.prefix(requiredCount), replies) {
            guard case .error(let error) = reply else { continue }
            throw RedisClientError(.handshakeRefused, reason: "\(command): \(error)")
        }
        guard replies.count == commands.count else {
            throw RedisClientError(.protocolViolation, reason: "the handshake was answered in part")
        }
        // A server that is still loading greets all the same. Callers wait a little for it rather than fail.
        if case .error(let error) = replies[pingIndex], error.kind == .loading {
            throw RedisClientError(.notConnected, reason: error.description)
        }
        try accept(Array(replies[greetingRange]))
        if let trackingIndex, case .error(let error) = replies[trackingIndex] {
            return Outcome(trackingRefusal: error)
        }
        return Outcome()
    }
}
