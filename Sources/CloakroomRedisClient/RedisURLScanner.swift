import NIOCore

/// Reads a Redis URL from left to right, a part at a time.
struct RedisURLScanner {
    /// What the beginning of a URL says.
    struct Scheme {
        enum Kind { case server, sentinel, cluster, socket }
        let kind: Kind
        let isTLS: Bool
        /// The whole form, for people.
        let form: String
    }

    /// More hosts than anyone would list.
    private static let maximumHosts = 64
    /// What fits into the address of a Unix socket on Linux.
    private static let maximumPathLength = 107

    private static let schemes: [(prefix: String, scheme: Scheme)] = {
        let credentials = "[user[:password]@]"
        let hosts = "host[:port][,host[:port]…]"
        let socket = Scheme(kind: .socket, isTLS: false, form: "unix://\(credentials)/path[?db=number]")
        let overTCP = [false, true].flatMap { (isTLS) -> [(String, Scheme)] in
            let name = isTLS ? "rediss" : "redis"
            return [
                ("\(name)://", .server, "host[:port][/db]"),
                ("\(name)+sentinel://", .sentinel, "\(hosts)/name[/db]"),
                ("\(name)+cluster://", .cluster, hosts),
            ].map { (prefix: String, kind: Scheme.Kind, rest: String) in
                (prefix, Scheme(kind: kind, isTLS: isTLS, form: prefix + credentials + rest))
            }
        }
        return overTCP + [("redis+unix://", socket), ("unix://", socket), ("unix:", socket)]
    }()

    private let text: String
    private var rest: Substring
    private var form: String?
    /// Whether credentials may come next.
    private var hasAuthority = true
    private var isSocket = false

    init(_ text: String) {
        self.text = text
        self.rest = text[...]
    }

    private var offset: Int { text.distance(from: text.startIndex, to: rest.startIndex) }

    private func failure(_ reason: String) -> RedisURLError { RedisURLError(reason, at: offset, form: form) }

    private mutating func advance(to index: Substring.Index) { rest = rest[index...] }

    mutating func scheme() throws(RedisURLError) -> Scheme {
        // No scheme is longer, and none holds a character that changes its length in lower case.
        let beginning = rest.prefix(24).lowercased()
        guard let (prefix, scheme) = Self.schemes.first(where: { beginning.hasPrefix($0.prefix) }) else {
            throw failure("it does not begin with a scheme that is known")
        }
        rest = rest.dropFirst(prefix.count)
        form = scheme.form
        isSocket = scheme.kind == .socket
        hasAuthority = prefix.hasSuffix("//")
        return scheme
    }

    mutating func credentials() throws(RedisURLError) -> (user: String?, password: String?) {
        guard hasAuthority else { return (nil, nil) }
        let authorityEnd = rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex
        guard let at = rest[..<authorityEnd].lastIndex(of: "@") else {
            if isSocket {
                guard authorityEnd == rest.startIndex else {
                    throw failure(
                        "a socket has no host, and a / ? or # in the user or password is written %2F, %3F or %23")
                }
            } else if rest.contains("@") {
                throw failure("a / ? or # in the user or password must be written %2F, %3F or %23")
            }
            return (nil, nil)
        }
        let colon = rest[..<at].firstIndex(of: ":")
        let user = try decoded(rest[..<(colon ?? at)], "the user or password")
        let password = try colon.map { (colon) throws(RedisURLError) in
            try decoded(rest[rest.index(after: colon)..<at], "the user or password")
        }
        advance(to: rest.index(after: at))
        return (user.isEmpty ? nil : user, password.flatMap { $0.isEmpty ? nil : $0 })
    }

    // MARK: Hosts

    /// One host or several with commas between them, each with its port.
    mutating func hosts(
        defaultPort: Int, maximumCount: Int = RedisURLScanner.maximumHosts
    ) throws(RedisURLError) -> [RedisEndpoint] {
        var hosts: [RedisEndpoint] = []
        while true {
            let host = try host()
            hosts.append(.tcp(host: host, port: try port() ?? defaultPort))
            guard rest.first == "," else { return hosts }
            guard hosts.count < maximumCount else {
                throw failure(
                    maximumCount == 1
                        ? "several hosts need redis+sentinel:// or redis+cluster://"
                        : "there are more than \(maximumCount) hosts")
            }
            rest = rest.dropFirst()
        }
    }

    private mutating func host() throws(RedisURLError) -> String {
        if rest.first == "[" { return try addressInBrackets() }
        let host = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || "-._".contains($0)) }
        guard !host.isEmpty else { throw failure("the host is missing") }
        guard host.utf8.count <= 255 else { throw failure("the host is longer than 255 characters") }
        advance(to: host.endIndex)
        return String(host)
    }

    private mutating func addressInBrackets() throws(RedisURLError) -> String {
        guard let end = rest.firstIndex(of: "]") else { throw failure("the [ of an IPv6 address is not closed") }
        let inside = rest[..<end].dropFirst()
        guard inside.utf8.count <= 255 else { throw failure("the host is longer than 255 characters") }
        // `fe80::1%eth0` names a network interface; in a strict URL its % is written %25.
        let address = inside.prefix { $0 != "%" }
        var zone = inside[address.endIndex...]
        if zone.hasPrefix("%25") { zone = zone.dropFirst("%25".count) } else { zone = zone.dropFirst() }
        let hasZone = address.endIndex != inside.endIndex
        guard address.contains(":"), (try? SocketAddress(ipAddress: String(address), port: 0)) != nil,
            hasZone == !zone.isEmpty,
            zone.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-._".contains($0)) })
        else { throw failure("not an IPv6 address") }
        advance(to: rest.index(after: end))
        return hasZone ? "\(address)%\(zone)" : String(address)
    }

    private mutating func port() throws(RedisURLError) -> Int? {
        guard rest.first == ":" else {
            if let next = rest.first, next != "/", next != "," { throw failure("unexpected character in the host") }
            return nil
        }
        rest = rest.dropFirst()
        let digits = rest.prefix { $0 != "/" && $0 != "," }
        guard digits.allSatisfy({ $0.isASCII && $0.isNumber }), let port = Int(digits), (1...65_535).contains(port)
        else {
            throw failure("the port is not a number from 1 to 65535")
        }
        advance(to: digits.endIndex)
        return port
    }

    // MARK: What follows the hosts

    /// What sentinels call the primary. They take no other characters either.
    mutating func primaryName() throws(RedisURLError) -> String {
        if rest.first == "/" { rest = rest.dropFirst() }
        let name = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || "-._".contains($0)) }
        guard !name.isEmpty else { throw failure("the name of the primary is missing") }
        guard name.utf8.count <= 255 else { throw failure("the name of the primary is longer than 255 characters") }
        advance(to: name.endIndex)
        if let next = rest.first, next != "/" { throw failure("unexpected character in the name of the primary") }
        return String(name)
    }

    mutating func database() throws(RedisURLError) -> Int? {
        guard rest.first == "/" else { return nil }
        rest = rest.dropFirst()
        return rest.isEmpty ? nil : try databaseNumber()
    }

    mutating func clusterDatabase() throws(RedisURLError) -> Int {
        let before = rest
        let database = try database() ?? 0
        guard database == 0 else {
            rest = before.dropFirst()
            throw failure("a cluster has no database but 0")
        }
        return database
    }

    private func databaseNumber() throws(RedisURLError) -> Int {
        guard rest.allSatisfy({ $0.isASCII && $0.isNumber }), rest.count <= 5, let database = Int(rest) else {
            throw failure("the database is not a number")
        }
        return database
    }

    // MARK: Sockets

    mutating func path() throws(RedisURLError) -> String {
        let end = rest.firstIndex { "?#".contains($0) } ?? rest.endIndex
        guard rest.first == "/", rest.index(after: rest.startIndex) != end else {
            throw failure("the path of the socket is missing; it begins with /")
        }
        let path = try decoded(rest[..<end], "the path")
        guard path.utf8.count <= Self.maximumPathLength else {
            throw failure("the path is longer than \(Self.maximumPathLength) bytes")
        }
        guard !path.utf8.contains(0) else { throw failure("the path has a zero byte in it") }
        advance(to: end)
        return path
    }

    /// `?db=N`
    mutating func databaseSetting() throws(RedisURLError) -> Int? {
        guard !rest.isEmpty else { return nil }
        guard rest.hasPrefix("?db=") else { throw failure("nothing but ?db= may follow the path") }
        rest = rest.dropFirst("?db=".count)
        return try databaseNumber()
    }

    // MARK: Percent encoding

    private func decoded(_ part: Substring, _ name: String) throws(RedisURLError) -> String {
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
            else { throw failure("a % in \(name) is not followed by two hex digits") }
            bytes.append(value)
            index = digits.endIndex
        }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw failure("\(name) is not UTF-8") }
        return text
    }

    /// All but letters, digits, `-._~` and the characters to keep in percent-encoded form.
    static func encoded(_ text: String, keeping kept: String = "") -> String {
        var encoded = ""
        for byte in text.utf8 {
            let character = Character(UnicodeScalar(byte))
            if character.isASCII, character.isLetter || character.isNumber || ("-._~" + kept).contains(character) {
                encoded.append(character)
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                encoded += "%" + (digits.count == 1 ? "0" : "") + digits
            }
        }
        return encoded
    }
}
