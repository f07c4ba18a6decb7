/// What sentinels and servers answer, read with distrust.
enum SentinelReply {
    /// What a sentinel says of where a primary is.
    enum Address: Equatable {
        case at(RedisEndpoint)
        /// It watches no primary of that name.
        case unknown
        case refused(RedisServerError)
        case malformed
    }

    /// Reads the answer to `SENTINEL GET-MASTER-ADDR-BY-NAME`.
    static func address(_ reply: RESPValue) -> Address {
        switch reply {
        case .null: return .unknown
        case .error(let error): return .refused(error)
        default:
            guard let parts = reply.elements, parts.count == 2,
                let endpoint = ServerAddress.endpoint(host: parts[0].shortText, port: parts[1].integerOrDigits)
            else { return .malformed }
            return .at(endpoint)
        }
    }

    /// Reads from the answer to `SENTINEL MASTER` which failover the sentinel knows as the last; 0 if it does not say.
    static func epoch(_ reply: RESPValue) -> Int { max(0, reply.field("config-epoch")?.integerOrDigits ?? 0) }

    /// Reads the answer to `SENTINEL SENTINELS`; what can't be understood is left out.
    static func others(_ reply: RESPValue) -> [RedisEndpoint] {
        (reply.elements ?? []).compactMap { sentinel in
            ServerAddress.endpoint(host: sentinel.field("ip")?.shortText, port: sentinel.field("port")?.integerOrDigits)
        }
    }

    /// Judges the answer to `ROLE`.
    ///
    /// - Throws: ``RedisClientError`` unless the server is a primary.
    static func requirePrimary(_ replies: [RESPValue]) throws(RedisClientError) {
        guard let reply = replies.first else {
            throw RedisClientError(.protocolViolation, reason: "ROLE was not answered")
        }
        if case .error(let error) = reply {
            throw RedisClientError(
                .handshakeRefused, reason: "ROLE, which finds out whether it is the primary: \(error)")
        }
        guard reply.elements?.first?.shortText == "master" else {
            throw RedisClientError(.notConnected, reason: "the server that the sentinels name is not a primary (yet)")
        }
    }
}
