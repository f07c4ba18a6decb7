/// How much of a group of commands a server refused because it is a replica.
enum GroupRefusal: Equatable {
    case none
    /// None of the commands that have a key was carried out.
    case whole
    case inPart

    /// Judges the replies to a group.
    init(_ commands: [RedisCommand], _ replies: [RESPValue]) {
        guard replies.contains(where: \.isReadOnlyError) else {
            self = .none
            return
        }
        // Queued commands are carried out with `EXEC` or not at all.
        var queued = false
        var isCarriedOut = false
        for (command, reply) in zip(commands, replies) {
            switch command.description {
            case "MULTI":
                if case .error = reply {} else { queued = true }
            case "EXEC":
                if case .error = reply {} else { isCarriedOut = true }
                queued = false
            default:
                if command.keyIndex != nil, !queued, !reply.isReadOnlyError { isCarriedOut = true }
            }
        }
        self = isCarriedOut ? .inPart : .whole
    }
}
