/// What the demo prints when it is ready.
enum DemoText {
    static func single(_ plan: DemoPlan) -> String {
        """

        Cloakroom is running. Open

            \(plan.publicURL)

        and log in as  admin / test  or  user / test.

        Then try
          \(plan.publicURL)/auth/me    who is logged in: claims, and never a token
          curl -i -H 'X-CSRF: 1' \(plan.publicURL)/api/whoami
                                         the sample API: 401 here, since curl has no session
          curl -s \(plan.issuer)/.well-known/openid-configuration
                                         the identity provider, for development only
          \(plan.issuer)/end_session   log out there: the page here is logged out too

        Sessions are in memory and end with this program. Press Ctrl-C to stop.

        """
    }

    struct Replica {
        let name: String
        let url: String
        let pid: Int32?
    }

    static func replicas(_ plan: DemoPlan, ownRedisURL: String?, replicas: [Replica]) -> String {
        let list = replicas.map { "  \($0.name)  \($0.url)  PID \($0.pid.map(String.init) ?? "?")" }
        let victim = replicas.first?.pid.map(String.init) ?? "PID"
        // A URL from the environment may have a password in it, so it isn't repeated here.
        let redis = ownRedisURL ?? "\"$REDIS_URL\""
        return """

            Cloakroom is running with \(replicas.count) replica\(replicas.count == 1 ? "" : "s") that share their sessions in Redis. Open

                \(plan.publicURL)

            and log in as  admin / test  or  user / test. Reload: each time another replica answers, and all know you.

            \(list.joined(separator: "\n"))

            Then try, in another terminal
              kill -9 \(victim)                                   end a replica; reload, you are still logged in
              curl -si \(plan.publicURL)/healthz | grep -i x-cloakroom-replica
              redis-cli -u \(redis) KEYS 'session:*'
                                                   the sessions; for one of these keys,
              redis-cli -u \(redis) GET KEY
                                                   what it holds, and
              redis-cli -u \(redis) TTL KEY
                                                   how many seconds it has left

            \(plan.sessionKey == nil ? plain : sealed)

            \(ownRedisURL != nil ? "This Redis was started for the demo and keeps nothing. " : "")Press Ctrl-C to stop.

            """
    }

    private static let sealed = """
        Sessions are sealed: a key is session:sha256: and a hash of the ID in the cookie, and
        what it holds is encrypted with a key of the replicas and that ID together. Whoever
        steals what Redis holds gets no token and no usable ID. The plain form, which other
        programs can read and write, shows   cloakroom demo --replicas 3 --plain
        """

    private static let plain = """
        Sessions are in the plain form: a key is session: and the ID in the cookie, and what
        it holds is JSON with the tokens, for other programs to read and write. Without
        --plain they are sealed.
        """

    static let noRedisServer = """
        No redis-server was found on the PATH, and REDIS_URL is not set. Install one:
          Debian, Ubuntu   sudo apt install redis-server
          macOS            brew install redis
          Fedora, RHEL     sudo dnf install redis
        or name one that runs already:
          REDIS_URL=redis://127.0.0.1:6379/0 cloakroom demo --replicas 3
        Without Redis, on a single process:
          cloakroom demo
        """
}
