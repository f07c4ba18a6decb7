import CloakroomRedisClient
import NIOCore

/// What the facts mean for whoever wants in.
struct RedisSecurityRules: Sendable {
    let facts: RedisSecurity.Facts
    let url: RedisURL

    typealias Item = RedisHealth.Item

    var items: [Item] { [auth, user, commands, encryption, plainPort, network, bind, firewall, log] }

    private var isSocket: Bool { if case .unix = url.servers[0] { true } else { false } }

    /// Whether Redis asks for a password, tried without one.
    private var auth: Item {
        switch facts.stranger {
        case .success:
            let remedy =
                "set a password: CONFIG SET requirepass PASSWORD, and in redis.conf; better a user of Cloakroom's own (ACL "
                + "SETUSER), and the default user off; then REDIS_URL=redis://USER:PASSWORD@HOST"
            return Item("auth", .fail, "Redis serves whoever reaches it, without a password", remedy: remedy)
        case .failure(let error):
            if RedisSecurity.saysNoPassword(error) {
                return Item("auth", .ok, "without a password Redis refuses")
            }
            return Item("auth", .unknown, "can't be seen from here: \(Self.reason(error))")
        }
    }

    private var user: Item {
        let name = (try? facts.user.get()) ?? url.user ?? "default"
        guard name != "default" else {
            return Item(
                "user", .warn, "Cloakroom is the default user, who by default may do everything",
                remedy: "make a user of its own that may use sessions' keys alone: see docs/redis.md, Permissions")
        }
        return Item("user", .ok, "a user of its own")
    }

    private var commands: Item {
        switch facts.permitted {
        case .success(let names) where names.isEmpty:
            return Item("commands", .ok, "the user may not use \(RedisSecurity.dangerous.joined(separator: ", "))")
        case .success(let names):
            return Item(
                "commands", .warn, "the user may use \(names.joined(separator: ", "))",
                remedy: "take away what sessions do not need: ACL SETUSER NAME -@dangerous -@admin +info")
        case .failure(let error) where error.refusal == .notPermitted:
            // Who may not ask about rights may not administer.
            guard case .failure = facts.bind else {
                return Item(
                    "commands", .warn, "the user may use CONFIG",
                    remedy: "take away what sessions do not need: ACL SETUSER NAME -@dangerous -@admin +info")
            }
            return Item("commands", .ok, "the user may use neither ACL nor CONFIG")
        case .failure(let error):
            return Item(
                "commands", .unknown, "can't be seen from here (Redis 7 tells): \(Self.reason(error))",
                remedy: "see ACL LIST on the server")
        }
    }

    private var encryption: Item {
        if url.isTLS { return Item("tls", .ok, "connections are encrypted, and the server's certificate is checked") }
        if isSocket { return Item("tls", .ok, "a socket on this machine, no network") }
        let addresses = facts.addresses ?? []
        if !addresses.isEmpty, addresses.allSatisfy({ PrivateAddress.isLoopback($0) }) {
            return Item("tls", .ok, "no TLS, and the connection does not leave this machine")
        }
        let isPrivate = !addresses.isEmpty && addresses.allSatisfy { PrivateAddress.contains($0) }
        return Item(
            "tls", isPrivate ? .warn : .fail, "no TLS: password and sessions cross the network in the clear",
            remedy: "let Redis speak TLS (tls-port), and write REDIS_URL as rediss://…")
    }

    private var plainPort: Item {
        switch facts.port {
        case .success("0"): return Item("plain-port", .ok, "Redis has no port without TLS")
        case .success(let port):
            guard url.isTLS else { return Item("plain-port", .ok, "TLS is not used, see tls") }
            return Item(
                "plain-port", .warn, "beside the TLS port, port \(port) takes connections in the clear",
                remedy: "set port 0 in redis.conf once nobody uses it")
        case .failure(let error):
            return Item(
                "plain-port", .unknown,
                "whether there is a port without TLS can't be seen from here: \(Self.reason(error))")
        }
    }

    private var network: Item {
        if isSocket { return Item("network", .ok, "a socket on this machine") }
        guard let addresses = facts.addresses, !addresses.isEmpty else {
            return Item("network", .unknown, "the addresses of Redis can't be looked up from here")
        }
        let open = addresses.filter { !PrivateAddress.contains($0) }.compactMap(\.ipAddress)
        guard !open.isEmpty else { return Item("network", .ok, "Redis has private addresses alone, seen from here") }
        return Item(
            "network", .fail, "Redis is reached at public addresses: \(open.prefix(3).joined(separator: ", "))",
            remedy: "move Redis into a private network, or use a private endpoint of the service")
    }

    private var bind: Item {
        switch facts.bind {
        case .failure(let error):
            return Item(
                "bind", .unknown, "on which addresses it listens can't be seen from here: \(Self.reason(error))")
        case .success(let text):
            // A minus stands before an address that need not be there.
            let names = text.split(separator: " ").map { $0.hasPrefix("-") ? $0.dropFirst() : $0 }.map(String.init)
            let isEverywhere = names.isEmpty || names.contains { ["*", "0.0.0.0", "::", "::*"].contains($0) }
            let open = names.filter { !["*", "0.0.0.0", "::", "::*"].contains($0) && !PrivateAddress.contains($0) }
            let isProtected = (try? facts.protectedMode.get()) == "yes"
            if open.isEmpty, !isEverywhere { return Item("bind", .ok, "private addresses alone: \(text.prefix(200))") }
            let what = isEverywhere ? "all addresses" : open.prefix(3).joined(separator: ", ")
            return Item(
                "bind", .warn,
                "Redis listens on \(what), protected-mode is \(isProtected ? "on" : "off")",
                remedy: "bind 127.0.0.1 or the private address in redis.conf; in a container let the network keep "
                    + "strangers out, and publish no port")
        }
    }

    /// Who is connected tells who got through; who would get through, only they can tell.
    private var firewall: Item {
        let rest = "who else could reach it can't be seen from here: try redis-cli -h HOST ping where it must fail"
        guard case .success(let clients) = facts.clients else { return Item("firewall", .unknown, rest) }
        let ours = clients["cloakroom"] ?? []
        let others = clients.filter { $0.key != "cloakroom" }.values.reduce(into: Set()) { $0.formUnion($1) }
        let open = ours.union(others).filter { !PrivateAddress.contains($0) && !$0.hasPrefix("/") }
        guard open.isEmpty else {
            return Item(
                "firewall", .fail,
                "clients are connected from public addresses: \(open.sorted().prefix(3).joined(separator: ", "))",
                remedy: "let the firewall, security group or NetworkPolicy admit the gateways alone")
        }
        return Item(
            "firewall", .unknown,
            "connected now: Cloakroom from \(ours.count) addresses, other programs from \(others.count); \(rest)")
    }

    private var log: Item {
        switch facts.slowLogThreshold {
        case .failure(let error):
            return Item(
                "slowlog", .unknown, "whether Redis keeps a slow log can't be seen from here: \(Self.reason(error))")
        case .success(let text) where (Int(text) ?? -1) < 0:
            return Item(
                "slowlog", .warn, "Redis keeps no slow log",
                remedy: "CONFIG SET slowlog-log-slower-than 10000, and in redis.conf")
        case .success: return Item("slowlog", .ok, "Redis logs slow commands (SLOWLOG GET), and refusals (ACL LOG)")
        }
    }

    private static func reason(_ error: RedisFactError) -> String {
        switch error.refusal {
        case .notPermitted: "not permitted"
        case .failed(let reason): reason
        case .notTried: "not tried"
        }
    }
}
