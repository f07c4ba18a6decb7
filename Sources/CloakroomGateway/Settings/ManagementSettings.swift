/// How operators see what the gateway does.
public struct ManagementSettings: Sendable, Equatable {
    /// Where metrics and health with reasons are served (`MANAGEMENT_ADDRESS`), as `HOST:PORT` or `:PORT`; `nil` for nowhere.
    public var address: String?
    /// Where the audit is written (`AUDIT_LOG`): `stdout`, or the path of a file; `nil` for nowhere.
    public var auditLog: String?
    /// Whether logins are refused while the audit can't be written (`AUDIT_REQUIRED`).
    public var isAuditRequired = false

    /// The defaults.
    public init() {}
}

extension GatewaySettings {
    /// Where this machine's gateway answers whether it is ready, without a path.
    package var healthAddress: String {
        if let text = management.address, let address = ListenAddress(text) {
            return "http://\(Self.local(address.host)):\(address.port)"
        }
        return "\(tls.certificateFile == nil ? "http" : "https")://\(Self.local(host)):\(port)"
    }

    private static func local(_ host: String) -> String {
        switch host {
        case "0.0.0.0": "127.0.0.1"
        case "::": "localhost"
        default: host.contains(":") ? "[\(host)]" : host
        }
    }
}

/// An address to listen on: `HOST:PORT`, `[IPv6]:PORT`, or `:PORT` for all addresses.
struct ListenAddress: Sendable, Equatable {
    let host: String
    let port: Int

    init?(_ text: String) {
        guard text.isVisibleASCII(2...262), let colon = text.lastIndex(of: ":"),
            let port = Int(text[text.index(after: colon)...]), (0...65_535).contains(port),
            text[text.index(after: colon)...].allSatisfy(\.isNumber)
        else { return nil }
        var host = text[..<colon]
        if host.first == "[" {
            guard host.last == "]" else { return nil }
            host = host.dropFirst().dropLast()
            guard !host.isEmpty else { return nil }
        } else if host.contains(":") {
            return nil
        }
        self.host = host.isEmpty ? "::" : String(host)
        self.port = port
    }
}
