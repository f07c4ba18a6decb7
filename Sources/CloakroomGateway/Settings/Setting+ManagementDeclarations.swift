extension Setting {
    static let management = [
        Setting(
            "MANAGEMENT_ADDRESS", .management, \.management.address,
            SettingForm<String>.text(
                "address", "HOST:PORT or :PORT, for example 127.0.0.1:9090", isValid: { ListenAddress($0) != nil }
            ).orOff,
            "where /metrics, /healthz and /readyz with reasons are served; not for the public"),
        Setting(
            "AUDIT_LOG", .management, \.management.auditLog,
            SettingForm<String>.text(
                "path", "stdout or the path of a file", isValid: { !$0.isEmpty && $0.utf8.count <= 4096 }
            ).orOff,
            "where the audit is written, as JSON lines"),
        Setting(
            "AUDIT_REQUIRED", .management, \.management.isAuditRequired, .truth,
            "refuse logins while the audit can't be written; with 503"),
    ]
}
