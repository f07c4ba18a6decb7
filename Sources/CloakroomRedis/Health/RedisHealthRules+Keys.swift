import Cloakroom
import CloakroomRedisClient

/// What the keys tell.
extension RedisHealthRules {
    var lifetimes: Item? {
        switch facts.keys {
        case .failure(let error): return unknown("lifetimes", error)
        case .success(let found):
            let scope =
                found.isComplete ? "all \(found.sessions) session keys" : "\(found.sessions) session keys, a sample,"
            guard found.endless > 0 else { return Item("lifetimes", .ok, "\(scope) have a TTL") }
            return Item(
                "lifetimes", .warn, "\(found.endless) of \(found.sessions) session keys have no TTL",
                remedy: "they are never freed: find the program that writes them without EX or PX")
        }
    }

    /// Whether these settings read the sessions that are there.
    var forms: Item? {
        let sample: KeySample
        switch facts.keys {
        case .failure(let error): return unknown("forms", error)
        case .success(let found): sample = found
        }
        let total = sample.forms.values.reduce(0, +)
        guard total > 0 else { return Item("forms", .ok, "there is no session to look at") }
        let sealed = sample.forms.reduce(into: [:] as [String: Int]) { sealed, form in
            if case .sealed(let keyID) = form.key { sealed[keyID] = form.value }
        }
        let lacking = sealed.filter { !(keyIDs ?? []).contains($0.key) }
        let sealedCount = sealed.values.reduce(0, +)
        let plain = sample.forms[.plain] ?? 0
        let unknownCount = sample.forms[.unknown] ?? 0
        if !lacking.isEmpty {
            let count = lacking.values.reduce(0, +)
            let names = lacking.keys.sorted().joined(separator: ", ")
            return Item(
                "forms", .fail,
                "\(count) of \(total) sessions are sealed with key \(names), which SESSION_KEYS lacks: "
                    + "their users are logged out",
                remedy: keyIDs == nil
                    ? "set SESSION_KEYS as on the replicas that sealed them"
                    : "append the former key (SESSION_KEYS=NEW,OLD) until SESSION_TIMEOUT is over")
        }
        if plain > 0, !acceptsPlain {
            return Item(
                "forms", .warn, "\(plain) of \(total) sessions are plain, and SESSION_PLAIN=refuse refuses them",
                remedy:
                    "set SESSION_PLAIN=accept until SESSION_TIMEOUT is over, if replicas without SESSION_KEYS wrote them"
            )
        }
        if unknownCount > 0 {
            return Item(
                "forms", .warn,
                "\(unknownCount) of \(total) values under \(keyPrefix) are no sessions: another program writes there",
                remedy: "give that program, or Cloakroom (REDIS_KEY_PREFIX), a prefix of its own")
        }
        return Item("forms", .ok, "\(sealedCount) sealed, \(plain) plain, of \(total) looked at")
    }

    /// Whether sessions are where these settings look for them.
    var keyspace: Item? {
        let sample: KeySample
        switch facts.keys {
        case .failure(let error): return unknown("keyspace", error)
        case .success(let found): sample = found
        }
        let count = sample.isComplete ? "\(sample.sessions)" : "at least \(sample.sessions)"
        let here = "\(count) sessions under \(keyPrefix) in database \(database)"
        let elsewhere = facts.otherDatabases.map { "database \($0.number) (at least \($0.sessions))" }
        guard elsewhere.isEmpty else {
            return Item(
                "keyspace", .warn, "\(here); there are sessions in \(elsewhere.joined(separator: ", ")) too",
                remedy: "let REDIS_URL name the same database (redis://HOST/\(database)) on all replicas")
        }
        let others = sample.otherPrefixes.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(3)
        let prefixes = others.map { "\($0.key) (\($0.value))" }.joined(separator: ", ")
        guard !others.isEmpty else { return Item("keyspace", .ok, here) }
        guard sample.sessions == 0 else {
            return Item("keyspace", .ok, "\(here); other sessions are under \(prefixes)")
        }
        return Item(
            "keyspace", .warn, "\(here), but there are sessions under \(prefixes)",
            remedy: "set REDIS_KEY_PREFIX as the replicas have it that wrote them")
    }
}
