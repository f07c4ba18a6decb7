/// A parsed `REDIS_URL`.
///
/// | form | means |
/// |---|---|
/// | `redis://[user[:password]@]host[:port][/db]` | one server; `rediss://` with TLS |
/// | `redis+sentinel://[user[:password]@]host[:port][,host[:port]…]/name[/db]` | sentinels and what they call the primary; `rediss+sentinel://` with TLS |
/// | `redis+cluster://[user[:password]@]host[:port][,host[:port]…]` | nodes of a cluster; `rediss+cluster://` with TLS |
/// | `unix:/path`, `unix://[user[:password]@]/path[?db=N]`, `redis+unix://…` | a Unix domain socket |
///
/// User, password and path are percent-decoded; an IPv6 address stands in brackets. The credentials are those of the
/// servers, not of sentinels. Ports are 6379, those of sentinels 26379. The `description` hides the password.
public struct RedisURL: Sendable, Equatable {
    /// The user of an ACL; `nil` for the default user.
    package let user: String?
    let password: String?
    /// Whether it gives a password.
    package var hasPassword: Bool { password != nil }
    /// How the servers work together.
    package enum Topology: Sendable, Equatable {
        /// One server.
        case standalone
        /// Servers of which sentinels say which is the primary; `primaryName` is what they call the group.
        case sentinel(primaryName: String)
        /// A cluster, each node of which holds a share of the keys.
        case cluster
    }

    /// How the servers work together.
    package let topology: Topology
    /// Whether connections are encrypted.
    package let isTLS: Bool
    /// The server; the sentinels; or the nodes of a cluster to ask first. One at least.
    package let servers: [RedisEndpoint]
    /// The number of the database.
    package let database: Int

    /// Reads a URL.
    ///
    /// - Throws: ``RedisURLError``, which shows where the text stops being right, never the password.
    public init(_ text: String) throws(RedisURLError) {
        guard text.utf8.count <= 4096 else {
            throw RedisURLError("it is longer than 4096 bytes", at: 4096, form: nil)
        }
        var scanner = RedisURLScanner(text)
        let scheme = try scanner.scheme()
        let credentials = try scanner.credentials()
        self.user = credentials.user
        self.password = credentials.password
        self.isTLS = scheme.isTLS
        switch scheme.kind {
        case .server:
            self.topology = .standalone
            self.servers = try scanner.hosts(defaultPort: 6379, maximumCount: 1)
            self.database = try scanner.database() ?? 0
        case .sentinel:
            self.servers = try scanner.hosts(defaultPort: 26_379)
            self.topology = .sentinel(primaryName: try scanner.primaryName())
            self.database = try scanner.database() ?? 0
        case .cluster:
            self.topology = .cluster
            self.servers = try scanner.hosts(defaultPort: 6379)
            self.database = try scanner.clusterDatabase()
        case .socket:
            self.topology = .standalone
            self.servers = [.unix(path: try scanner.path())]
            self.database = try scanner.databaseSetting() ?? 0
        }
    }

    /// The same without user and password: what a stranger would use.
    package var withoutCredentials: RedisURL { RedisURL(stranger: self) }

    private init(stranger url: RedisURL) {
        user = nil
        password = nil
        isTLS = url.isTLS
        topology = url.topology
        servers = url.servers
        database = url.database
    }
}

extension RedisURL: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The URL for logs, with all that was left out, its password replaced by `***`.
    public var description: String {
        var credentials = ""
        if password != nil {
            credentials = "\(RedisURLScanner.encoded(user ?? "")):***@"
        } else if let user {
            credentials = "\(RedisURLScanner.encoded(user))@"
        }
        if case .unix(let path) = servers[0] {
            return "unix://\(credentials)\(RedisURLScanner.encoded(path, keeping: "/"))?db=\(database)"
        }
        let scheme = isTLS ? "rediss" : "redis"
        let hosts = credentials + servers.map(\.description).joined(separator: ",")
        return switch topology {
        case .standalone: "\(scheme)://\(hosts)/\(database)"
        case .sentinel(let primaryName): "\(scheme)+sentinel://\(hosts)/\(primaryName)/\(database)"
        case .cluster: "\(scheme)+cluster://\(hosts)"
        }
    }

    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["url": description]) }
}

/// Why a text is no Redis URL. It quotes nothing of the text, as a password may stand anywhere in a mistyped one.
public struct RedisURLError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong.
    public let reason: String
    /// Where, in characters from the start, counted from 1.
    public let position: Int
    private let form: String

    init(_ reason: String, at offset: Int, form: String?) {
        self.reason = reason
        self.position = offset + 1
        self.form =
            form.map { "the form is \($0)" }
            ?? "the forms begin with redis://, rediss:// (TLS), redis+sentinel://, redis+cluster:// or unix:"
    }

    public var description: String { "\(reason) (at character \(position)); \(form)" }
}
