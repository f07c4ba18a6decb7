import Cloakroom
import CloakroomGateway
import CloakroomHTTP
import CloakroomOIDC
import CloakroomRedis

/// The points of the security checklist that the settings tell.
struct SecurityCheck {
    private static let part = "security"

    let settings: GatewaySettings
    let publicURL: PublicURL

    var lines: [CheckReport.Line] {
        [secrets, modes, sealing, plain, transport, cookies, provider, client, audit, management]
    }

    /// Flags are seen by whoever may list processes; the environment by whoever may look into the process or its container.
    private var secrets: CheckReport.Line {
        let origins = settings.secretOrigins
        let flags = origins.filter { $0.place == "flag" }.map(\.name)
        guard flags.isEmpty else {
            return line(
                "secrets", "fail", "\(list(flags)) stands in a flag, where everyone on the machine sees it",
                "give it in a file of its own: \(flags[0])_FILE=/run/secrets/…")
        }
        let open = origins.filter { $0.file == nil }
        guard !open.isEmpty else {
            return line(
                "secrets", "ok",
                origins.isEmpty ? "none is given" : "each is in a file of its own: \(list(origins.map(\.name)))")
        }
        let places = open.map { "\($0.name) (\($0.place))" }
        return line(
            "secrets", "warn", "not in files of their own: \(places.joined(separator: ", "))",
            "mount each as a file, which neither crash reports nor `docker inspect` show: \(open[0].name)_FILE=/run/secrets/…"
        )
    }

    private var modes: CheckReport.Line {
        let files = settings.secretOrigins.filter { $0.file != nil }
        let open = files.filter(\.isReadableByAll).map(\.name)
        guard open.isEmpty else {
            return line(
                "file-modes", "fail", "every user of this machine may read the file of \(list(open))",
                "let the gateway's user alone read it: chmod 0400")
        }
        return line(
            "file-modes", "ok",
            files.isEmpty ? "no secret is in a file" : "\(files.count) files with secrets, none readable by everyone")
    }

    /// What the disk of Redis, its backups and its replicas show.
    private var sealing: CheckReport.Line {
        guard settings.effectiveStore != .memory else {
            return line("at-rest", "ok", "sessions are in memory alone, and on no disk")
        }
        guard settings.records.isSealing else {
            return line(
                "at-rest", "warn",
                "sessions stand unencrypted in Redis, its files and backups; whether its disk is encrypted can't be seen "
                    + "from here",
                "set SESSION_KEYS (cloakroom keys generate): Redis then holds sealed sessions alone. Encrypt the disk as well"
            )
        }
        return line("at-rest", "ok", "sessions are sealed (AES-256-GCM): neither Redis nor its files show them")
    }

    private var plain: CheckReport.Line {
        guard settings.records.isSealing else { return line("plain", "ok", "sessions are not sealed, see at-rest") }
        guard settings.records.acceptsPlain else { return line("plain", "ok", "plain sessions are refused") }
        return line(
            "plain", "warn", "plain sessions are accepted: anyone who can write to Redis can plant one",
            "set SESSION_PLAIN=refuse once all replicas have sealed for SESSION_TIMEOUT")
    }

    private var transport: CheckReport.Line {
        guard publicURL.isSecure else {
            return line(
                "public-url", "warn", "\(publicURL) is plain http, which is for this machine alone",
                "set PUBLIC_URL=https://…, with TLS at a proxy or by TLS_CERT_FILE")
        }
        guard settings.tls.certificateFile == nil, !LoopbackHost.contains(settings.host) else {
            return line("public-url", "ok", "\(publicURL)")
        }
        return line(
            "public-url", "ok",
            "\(publicURL); the way from the proxy to here is plain http: keep it in a private network, or set TLS_CERT_FILE"
        )
    }

    private var cookies: CheckReport.Line {
        let cookies = CookieSettings(publicURL: publicURL)
        guard cookies.isSecure else {
            return line(
                "cookies", "warn", "HttpOnly, SameSite=Lax; without TLS neither Secure nor __Host-",
                "set PUBLIC_URL=https://…")
        }
        return line("cookies", "ok", "\(cookies.sessionName): Secure, HttpOnly, SameSite=Lax, for this host alone")
    }

    private var provider: CheckReport.Line {
        let urls = [settings.oidcIssuer] + (settings.oidcDiscoveryURL.map { [$0] } ?? [])
        let open = urls.filter { url in
            guard url.lowercased().hasPrefix("http://") else { return false }
            let authority = url.dropFirst("http://".count).prefix { $0 != "/" }
            let host = authority.hasPrefix("[") ? authority.prefix { $0 != "]" } + "]" : authority.prefix { $0 != ":" }
            return !LoopbackHost.contains(host)
        }
        guard open.isEmpty else {
            return line(
                "provider-tls", "fail", "the provider is asked without TLS: \(list(open))",
                "set OIDC_ISSUER (and OIDC_DISCOVERY_URL) to https://…")
        }
        return line("provider-tls", "ok", "the provider is asked over TLS, or on this machine")
    }

    private var client: CheckReport.Line {
        let method = settings.effectiveClientAuth
        guard method == .none else {
            let how = settings.oidcClientSecret == nil ? "proves who it is by \(method.rawValue)" : "has a secret"
            return line("client-secret", "ok", "the client \(how), and every login uses PKCE")
        }
        return line(
            "client-secret", "warn", "the client is public: PKCE alone protects its logins",
            "make the client confidential at the provider, and give OIDC_CLIENT_KEY_FILE or OIDC_CLIENT_SECRET_FILE")
    }

    private var audit: CheckReport.Line {
        guard let target = settings.management.auditLog else {
            return line(
                "audit", "warn", "there is no audit of its own; session events and refusals are in the log alone",
                "set AUDIT_LOG=stdout or a file, and keep it where the gateway can't delete it")
        }
        return line("audit", "ok", "who logged in, out and was refused goes to \(target)")
    }

    private var management: CheckReport.Line {
        guard let address = settings.management.address else {
            return line(
                "management", "warn", "no metrics: nobody is told when something goes wrong",
                "set MANAGEMENT_ADDRESS=:9090, let Prometheus scrape it, and use the alerts in deploy/observability")
        }
        let host = address.lastIndex(of: ":").map { String(address[..<$0]) } ?? address
        if ["", "0.0.0.0", "[::]", "*"].contains(host) {
            return line(
                "management", "unknown",
                "\(address) listens on all addresses; whether strangers reach it can't be seen from here",
                "let firewall or NetworkPolicy admit Prometheus alone, and publish the port nowhere")
        }
        guard LoopbackHost.contains(host) || PrivateAddress.contains(host) else {
            return line(
                "management", "fail", "\(address) may be reached by strangers",
                "bind it to a private address, or 127.0.0.1")
        }
        return line("management", "ok", "\(address) is private")
    }

    private func list(_ names: [String]) -> String { names.prefix(10).joined(separator: ", ") }

    private func line(
        _ name: String, _ status: String, _ detail: String, _ remedy: String? = nil
    ) -> CheckReport.Line {
        CheckReport.Line(part: Self.part, name: name, status: status, detail: detail, remedy: remedy)
    }
}
