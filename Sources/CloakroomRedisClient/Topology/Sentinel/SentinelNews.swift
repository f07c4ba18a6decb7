/// What a sentinel publishes while it replaces a primary, read with distrust.
///
/// Of the sentinels only the one that leads the failover publishes its steps; the others announce the outcome, later.
enum SentinelNews: Equatable {
    /// This replica is about to be told to be the primary, or was told already.
    case candidate(RedisEndpoint)
    /// The failover was given up.
    case aborted
    /// The primary is another server now.
    case switched(RedisEndpoint)

    /// The next step is the command that makes the replica the primary: 50 ms later at the least, as a sentinel goes on
    /// with each turn of its timer.
    static let promotionChannel = "+failover-state-send-slaveof-noone"
    /// The replica says that it is the primary.
    static let promotedChannel = "+promoted-slave"
    /// The replica did not become the primary in time.
    static let abortChannel = "-failover-abort-slave-timeout"
    static let switchChannel = "+switch-master"

    /// All channels to subscribe to.
    static let channels = [promotionChannel, promotedChannel, abortChannel, switchChannel]

    /// Reads a push; `nil` if it is of no interest for the primary of this name.
    init?(_ push: [RESPValue], primaryName: String) {
        guard push.count == 3, push[0].shortText == "message", let channel = push[1].shortText,
            let words = push[2].shortText?.split(separator: " ", omittingEmptySubsequences: false)
        else { return nil }
        switch channel {
        case Self.promotionChannel, Self.promotedChannel:
            // The replica: its kind, name, host and port. "@". The primary: its name, host and port.
            guard words.count == 8, words[0] == "slave", words[4] == "@", words[5] == primaryName,
                let endpoint = ServerAddress.endpoint(host: String(words[2]), port: Int(words[3]))
            else { return nil }
            self = .candidate(endpoint)
        case Self.abortChannel:
            // The primary: its kind, name, host and port.
            guard words.count == 4, words[0] == "master", words[1] == primaryName else { return nil }
            self = .aborted
        case Self.switchChannel:
            // The name, the old host and port, the new host and port.
            guard words.count == 5, words[0] == primaryName,
                let endpoint = ServerAddress.endpoint(host: String(words[3]), port: Int(words[4]))
            else { return nil }
            self = .switched(endpoint)
        default: return nil
        }
    }
}
