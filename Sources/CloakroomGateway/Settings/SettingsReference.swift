/// The reference of the settings, as the documentation has it.
package enum SettingsReference {
    /// A table for each group, in Markdown.
    package static var markdown: String {
        let defaults = GatewaySettings()
        return Setting.Group.allCases.map { group in
            let rows = Setting.all.filter { $0.group == group }.map { setting in
                let name = setting.isSecret ? "`\(setting.name)`, `…_FILE`" : "`\(setting.name)`"
                let value = setting.defaultText ?? setting.show(defaults).map { "`\($0)`" } ?? "none"
                return "| \(name) | \(value) | \(escaped(setting.about)) | \(escaped(setting.form)) |\n"
            }
            return "## \(group.rawValue)\n\n| setting | default | what | value |\n|---|---|---|---|\n" + rows.joined()
        }.joined(separator: "\n")
    }

    private static func escaped(_ text: String) -> String { text.replacing("|", with: "\\|") }
}
