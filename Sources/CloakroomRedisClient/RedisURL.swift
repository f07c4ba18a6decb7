/// A parsed `REDIS_URL`: `redis://[user[:password]@]host[:port][/db]`.
///
/// User and password are percent-decoded; an IPv6 address stands in brackets. The `description` hides the password.
public struct RedisURL: Sendable, Equatable {
    /// The user of an ACL; `nil` for the default user.
    public let user: String?
    let password: String?
    /// How the servers work together.
    public enum Topology: Sendable, Equatable {
        /// One server.
        case standalone
        /// Servers of which sentinels say which is the primary; `primaryName` is what they call the group.
        case sentinel(primaryName: String)
        /// A cluster, each node of which holds a share of the keys.
        case cluster
    }

    /// How the servers work together.
    public let topology: Topology
    /// Whether connections are encrypted.
    public let isTLS: Bool
    /// The server; the sentinels; or the nodes of a cluster to ask first. One at least.
    public let servers: [RedisEndpoint]
    /// The number of the database.
    public let database: Int

    /// Reads a URL.
    ///
    /// - Throws: ``RedisURLError``, which shows where the text stops being right, never the password.
    public init(_ text: String) throws(RedisURLError) {
        var scanner = Scanner(text)
        guard text.utf8.count <= 4096 else { throw RedisURLError("it is longer than 4096 bytes", at: 4096) }
        try scanner.scheme()
        let credentials = try scanner.credentials()
        self.user = credentials.user
        self.password = credentials.password
        self.topology = .standalone
        self.isTLS = false
        self.servers = [.tcp(host: try scanner.host(), port: try scanner.port() ?? 6379)]
        self.database = try scanner.database() ?? 0
    }
}

extension RedisURL: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The URL for logs, its password replaced by `***`.
    public var description: String {
        var credentials = ""
        if password != nil {
            credentials = "\(user ?? ""):***@"
        } else if let user {
            credentials = "\(user)@"
        }
        return "redis://\(credentials)\(servers.map(\.description).joined(separator: ","))/\(database)"
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

    init(_ reason: String, at offset: Int) {
        self.reason = reason
        self.position = offset + 1
    }

    public var description: String {
        "\(reason) (at character \(position)); the form is redis://[user[:password]@]host[:port][/db]"
    }
}

private struct Scanner {
    private let text: String
    private var rest: Substring

    init(_ text: String) {
        self.text = text
        self.rest = text[...]
    }

    private var offset: Int { text.distance(from: text.startIndex, to: rest.startIndex) }

    private func failure(_ reason: String) -> RedisURLError { RedisURLError(reason, at: offset) }

    mutating func scheme() throws(RedisURLError) {
        for other in ["rediss:", "redis+", "rediss+", "unix:"] where rest.lowercased().hasPrefix(other) {
            throw failure("this version knows only redis:// (no TLS, Sentinel, Cluster or Unix socket yet)")
        }
        guard rest.lowercased().hasPrefix("redis://") else { throw failure("it does not begin with redis://") }
        rest = rest.dropFirst("redis://".count)
    }

    mutating func credentials() throws(RedisURLError) -> (user: String?, password: String?) {
        let authorityEnd = rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex
        guard let at = rest[..<authorityEnd].lastIndex(of: "@") else {
            if rest.contains("@") {
                throw failure("a / ? or # in the user or password must be written %2F, %3F or %23")
            }
            return (nil, nil)
        }
        let colon = rest[..<at].firstIndex(of: ":")
        let user = try decoded(rest[..<(colon ?? at)])
        let password = try colon.map { (colon) throws(RedisURLError) in try decoded(rest[rest.index(after: colon)..<at])
        }
        rest = rest[rest.index(after: at)...]
        return (user.isEmpty ? nil : user, password.flatMap { $0.isEmpty ? nil : $0 })
    }

    mutating func host() throws(RedisURLError) -> String {
        if rest.first == "[" {
            guard let end = rest.firstIndex(of: "]") else { throw failure("the [ of an IPv6 address is not closed") }
            let host = rest[rest.index(after: rest.startIndex)..<end]
            guard !host.isEmpty, host.allSatisfy({ $0.isHexDigit || ":.%".contains($0) || $0.isLetter || $0.isNumber })
            else { throw failure("not an IPv6 address") }
            rest = rest[rest.index(after: end)...]
            return String(host)
        }
        let host = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || "-._".contains($0)) }
        guard !host.isEmpty else { throw failure("the host is missing") }
        guard host.utf8.count <= 255 else { throw failure("the host is longer than 255 characters") }
        rest = rest[host.endIndex...]
        return String(host)
    }

    mutating func port() throws(RedisURLError) -> Int? {
        guard rest.first == ":" else {
            if let next = rest.first, next != "/" { throw failure("unexpected character in the host") }
            return nil
        }
        rest = rest.dropFirst()
        let digits = rest.prefix { $0 != "/" }
        guard digits.allSatisfy({ $0.isASCII && $0.isNumber }), let port = Int(digits), (1...65_535).contains(port)
        else {
            throw failure("the port is not a number from 1 to 65535")
        }
        rest = rest[digits.endIndex...]
        return port
    }

    mutating func database() throws(RedisURLError) -> Int? {
        guard rest.first == "/" else { return nil }
        rest = rest.dropFirst()
        if rest.isEmpty { return nil }
        guard rest.allSatisfy({ $0.isASCII && $0.isNumber }), rest.count <= 5, let database = Int(rest) else {
            throw failure("the database is not a number")
        }
        return database
    }

    private func decoded(_ part: Substring) throws(RedisURLError) -> String {
        var bytes: [UInt8] = []
        var index = part.utf8.startIndex
        while index != part.utf8.endIndex {
            let byte = part.utf8[index]
            index = part.utf8.index(after: index)
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = part.utf8[index...].prefix(2)
            guard digits.count == 2, let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16),
                digits.first != UInt8(ascii: "+")
            else { throw failure("a % in the user or password is not followed by two hex digits") }
            bytes.append(value)
            index = digits.endIndex
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw failure("the user or password is not UTF-8")
        }
        return text
    }
}
