import CloakroomHTTP1

/// What becomes of a field that passes the gateway, by its name.
enum FieldNames {
    /// What becomes of a client's field on the way to the upstream.
    enum Inward {
        case pass, drop
        /// Without the gateway's own cookies.
        case cookie
        /// If the request says in a well-formed way to which trace it belongs.
        case trace
    }

    /// What becomes of the upstream's field on the way to the client.
    enum Outward {
        case pass, drop
        /// Unless it sets a cookie of the gateway's.
        case setCookie
        /// They pass, and say which of the gateway's own are still needed.
        case contentSecurityPolicy, referrerPolicy
    }

    /// A client's field.
    ///
    /// Dropped are fields that belong to one connection (RFC 9110 §7.6.1) and those that an upstream might believe or that
    /// are ours to send. Some servers can't tell `X_Forwarded_For` or `X.Forwarded.For` from `X-Forwarded-For`
    /// (CVE-2025-64484): neither do we. `Connection` may list more; see ``ConnectionList``.
    static func inward(_ bytes: UnsafeRawBufferPointer, _ name: Range<Int>) -> Inward {
        func spells(_ text: StaticString) -> Bool { name.count == text.utf8CodeUnitCount && begins(bytes, name, text) }
        switch Octets.lowercased(bytes[name.lowerBound]) {
        case UInt8(ascii: "a"): return spells("authorization") ? .drop : .pass
        case UInt8(ascii: "c"):
            if spells("cookie") { return .cookie }
            return spells("connection") || spells("content-length") || spells("cf-connecting-ip") ? .drop : .pass
        case UInt8(ascii: "e"): return spells("expect") ? .drop : .pass
        case UInt8(ascii: "f"): return spells("forwarded") ? .drop : .pass
        case UInt8(ascii: "h"): return spells("host") || spells("http2-settings") ? .drop : .pass
        case UInt8(ascii: "k"): return spells("keep-alive") ? .drop : .pass
        case UInt8(ascii: "p"):
            return spells("proxy-authenticate") || spells("proxy-authorization") || spells("proxy-connection")
                ? .drop : .pass
        case UInt8(ascii: "r"): return spells("remote-user") ? .drop : .pass
        case UInt8(ascii: "t"):
            if spells("traceparent") || spells("tracestate") { return .trace }
            return spells("te") || spells("trailer") || spells("transfer-encoding") || spells("true-client-ip")
                ? .drop : .pass
        case UInt8(ascii: "u"): return spells("upgrade") ? .drop : .pass
        case UInt8(ascii: "v"): return spells("via") ? .drop : .pass
        case UInt8(ascii: "x"):
            return begins(bytes, name, "x-forwarded-") || begins(bytes, name, "x-auth-request-") || spells("x-real-ip")
                || spells("x-client-ip") || spells("x-original-url") || spells("x-rewrite-url")
                || spells("x-original-uri") || spells("x-remote-user") || spells("x-csrf")
                || spells("x-request-id") ? .drop : .pass
        default: return .pass
        }
    }

    /// The upstream's field. Dropped are those of its connection, those that the gateway says itself, and any grant of CORS,
    /// which would undo the protection that the static field gives.
    static func outward(_ bytes: UnsafeRawBufferPointer, _ name: Range<Int>, isSecure: Bool) -> Outward {
        func equals(_ text: StaticString) -> Bool { Octets.equal(bytes, name, lowercase: text) }
        switch Octets.lowercased(bytes[name.lowerBound]) {
        case UInt8(ascii: "a"): return begins(bytes, name, "access-control-") ? .drop : .pass
        case UInt8(ascii: "c"):
            if equals("content-security-policy") { return .contentSecurityPolicy }
            return equals("connection") || equals("content-length") || equals("cache-control") ? .drop : .pass
        case UInt8(ascii: "h"): return equals("http2-settings") ? .drop : .pass
        case UInt8(ascii: "k"): return equals("keep-alive") ? .drop : .pass
        case UInt8(ascii: "p"):
            return equals("proxy-authenticate") || equals("proxy-authorization") || equals("proxy-connection")
                ? .drop : .pass
        case UInt8(ascii: "r"): return equals("referrer-policy") ? .referrerPolicy : .pass
        case UInt8(ascii: "s"):
            if equals("set-cookie") { return .setCookie }
            return isSecure && equals("strict-transport-security") ? .drop : .pass
        case UInt8(ascii: "t"): return equals("te") || equals("trailer") || equals("transfer-encoding") ? .drop : .pass
        case UInt8(ascii: "u"): return equals("upgrade") ? .drop : .pass
        case UInt8(ascii: "x"): return equals("x-cloakroom-replica") || equals("x-content-type-options") ? .drop : .pass
        default: return .pass
        }
    }

    /// Whether the name begins with this text, with any other separator in the place of a dash.
    @inline(__always)
    private static func begins(_ bytes: UnsafeRawBufferPointer, _ name: Range<Int>, _ text: StaticString) -> Bool {
        guard name.count >= text.utf8CodeUnitCount else { return false }
        for offset in 0..<text.utf8CodeUnitCount {
            let byte = Octets.lowercased(bytes[name.lowerBound + offset])
            let wanted = text.utf8Start[offset]
            guard byte == wanted || (wanted == UInt8(ascii: "-") && !isAlphanumeric(byte)) else { return false }
        }
        return true
    }

    @inline(__always)
    private static func isAlphanumeric(_ lowercased: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(lowercased)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(lowercased)
    }
}

/// The names that a message's `Connection` fields list: such fields belong to that connection (RFC 9110 §7.6.1).
struct ConnectionList {
    private let names: [Range<Int>]

    init(_ fields: FieldLines) {
        names = fields.withBytes { bytes in
            var names: [Range<Int>] = []
            for line in fields.lines where Octets.equal(bytes, line.name, lowercase: "connection") {
                Octets.forEachMember(bytes, line.value) { if !$0.isEmpty { names.append($0) } }
            }
            return names
        }
    }

    func contains(_ bytes: UnsafeRawBufferPointer, _ name: Range<Int>) -> Bool {
        names.contains { listed in
            listed.count == name.count
                && zip(bytes[listed], bytes[name]).allSatisfy { Octets.lowercased($0) == Octets.lowercased($1) }
        }
    }
}
