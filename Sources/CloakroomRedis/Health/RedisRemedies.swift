import CloakroomRedisClient

/// What helps when Redis can't be reached or refuses.
enum RedisRemedies {
    /// What helps when Redis refuses.
    static func remedy(for kind: RedisServerError.Kind?) -> String {
        switch kind {
        case .authenticationRequired: "give a password: REDIS_URL=redis://:PASSWORD@HOST"
        case .wrongCredentials: "correct user and password in REDIS_URL; percent-encode signs such as / @ # %"
        case .notPermitted: "permit the user the keys of sessions and +@read +@write +@scripting +@connection"
        case .loading: "wait until it has read its files"
        case .readOnly: "let REDIS_URL name the primary, or the sentinels (redis+sentinel://…)"
        case .outOfMemory: "raise maxmemory; nobody can log in until there is room"
        case .misconfigured: "look at Redis' disk and log: it can't save"
        case .notEnoughReplicas: "bring replicas back, or lower min-replicas-to-write"
        case .tooManyClients: "raise maxclients, or lower REDIS_MAX_CONNECTIONS"
        case .connectionDenied: "set a password in Redis, or bind it to this network (protected-mode)"
        case .moved, .ask, .clusterDown, .tryAgain: "write REDIS_URL as redis+cluster://HOST,HOST; see CLUSTER INFO"
        case .unknownCommand: "6.2 or newer is needed"
        default: "is Redis running, and is REDIS_URL right? See REDIS_URL and the log of Redis"
        }
    }

    /// What helps when there is no connection, by the reason that the client gives.
    static func remedy(forReason reason: String, isTLS: Bool) -> String {
        causes.first { reason.contains($0.words) }?.remedy
            ?? (isTLS
                ? "is Redis running, does it speak TLS on that port, and is REDIS_URL right? See the log of Redis"
                : "is Redis running, is REDIS_URL right, and does that port want TLS (rediss://)? See the log of Redis")
    }

    private static let hanging =
        "Redis takes connections and does not answer: see whether it hangs (a slow command, a full disk, swapping)"

    /// Words of a reason, and what helps then; the first that is found counts.
    private static let causes: [(words: String, remedy: String)] = [
        (
            "connection refused",
            "nothing listens there: start Redis, or correct host and port in REDIS_URL; a Redis that is bound to "
                + "127.0.0.1 refuses other machines (bind)"
        ),
        (
            "can't be resolved",
            "correct the host name in REDIS_URL; it must be known to the DNS of the network where this runs (the "
                + "service's name in Compose and Kubernetes)"
        ),
        (
            "no route to host",
            "the network does not lead there: correct the host in REDIS_URL, or the routes between the two networks"
        ),
        ("network is unreachable", "this machine has no network that leads there: correct the host in REDIS_URL"),
        ("has expired", "renew the certificate of Redis; its date: openssl s_client -connect HOST:PORT"),
        ("not valid yet", "correct the clock of this machine, or the certificate of Redis"),
        (
            "not signed by an authority",
            "let REDIS_TLS_CA_FILE name the authority that signed the certificate of Redis"
        ),
        (
            "for another host name",
            "let REDIS_URL use a name that is in the certificate of Redis, or give that name as REDIS_TLS_SERVER_NAME"
        ),
        ("can't be compared", "give the name in the certificate of Redis as REDIS_TLS_SERVER_NAME"),
        ("may want TLS", "if that port speaks TLS, write REDIS_URL as rediss://…; else see the log of Redis"),
        ("speak TLS", "that port takes plain connections: redis:// in REDIS_URL, or the TLS port of Redis"),
        (
            "client certificate",
            "Redis asks for a certificate of ours that its authority has signed: REDIS_TLS_CERT_FILE, REDIS_TLS_KEY_FILE"
        ),
        ("NOAUTH", remedy(for: .authenticationRequired)),
        ("password", "correct user and password in REDIS_URL; percent-encode signs such as / @ # %"),
        ("maxclients", remedy(for: .tooManyClients)),
        ("protected-mode", remedy(for: .connectionDenied)),
        ("loading", remedy(for: .loading)),
        ("SELECT", "correct the database in REDIS_URL: the server has no such database, or a cluster has one alone"),
        ("can't read", "correct the file that the reason names"),
        (
            "reset by peer",
            "Redis, or what stands before it, closes connections at once: it has as many as it takes (maxclients), or does "
                + "not take them from here; see its log"
        ),
        (
            "timed out",
            "packets are dropped on the way, or Redis does not answer: see firewall, security group and NetworkPolicy "
                + "between here and Redis, and whether Redis hangs (redis-cli -h HOST ping)"
        ),
        ("not RESP3", "another service than Redis answers there: correct host and port in REDIS_URL"),
        ("not a node of a cluster", "write REDIS_URL as redis://HOST:PORT, or name nodes of a cluster"),
        (
            "no sentinel",
            "correct hosts, port (26379) and name in redis+sentinel://HOST,HOST:PORT/NAME; are the sentinels running?"
        ),
        ("handshake in time", hanging),
        ("no reply", hanging),
    ]
}
