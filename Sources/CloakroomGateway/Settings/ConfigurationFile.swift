import Yams

/// A configuration file in YAML: a mapping from settings' names in lower case to their values.
enum ConfigurationFile {
    /// The most bytes that it may have.
    private static let limit = 262_144

    /// Reads a file.
    ///
    /// - Throws: what is wrong first, with the line.
    static func read(_ path: String) throws(SettingsError) -> SettingsSource {
        let file: SettingsFile
        do throws(SettingsFile.Problem) {
            file = try SettingsFile(path: path, limit: limit)
        } catch {
            throw SettingsError(setting: "CLOAKROOM_CONFIG", reason: "\(SettingsError.quoted(path)) \(error.reason)")
        }
        let root: Node?
        do {
            root = try compose(yaml: file.text)
        } catch {
            throw problem(path, error)
        }
        var source = SettingsSource(name: path)
        source.isReadableByAll = file.isReadableByAll
        // A file without anything in it, or with comments alone.
        guard let root, root.null == nil else { return source }
        guard case .mapping(let mapping) = root else {
            throw problem(path, line: root.mark?.line, "must be lines of the form name: value")
        }
        for (key, value) in mapping {
            let line = key.mark?.line
            guard case .scalar(let name) = key else { throw problem(path, line: line, "a name is not text") }
            guard let setting = SettingsSource.declared[name.string] else {
                throw problem(path, line: line, unknown(name.string))
            }
            let text = try self.text(of: value, setting, name: name.string, path: path)
            guard let text else { continue }
            source.values[name.string.uppercased()] = .init(text: text, line: line)
        }
        return source
    }

    /// - Returns: `nil` where there is none.
    private static func text(
        of node: Node, _ setting: Setting, name: String, path: String
    ) throws(SettingsError) -> String? {
        switch node {
        case .scalar(let scalar): return node.null == nil ? scalar.string : nil
        case .sequence(let sequence):
            // The file that holds a list is one.
            guard let separator = setting.listSeparator, name == setting.key else { break }
            var texts: [String] = []
            for element in sequence {
                guard case .scalar(let scalar) = element else {
                    throw problem(path, line: element.mark?.line, "\(name) must be a list of texts")
                }
                texts.append(scalar.string)
            }
            return texts.joined(separator: separator)
        default: break
        }
        let kind = if case .mapping = node { "a mapping" } else { "a list" }
        throw problem(path, line: node.mark?.line, "\(name) is \(kind); it must be \(setting.form)")
    }

    private static func unknown(_ name: String) -> String {
        let quoted = SettingsError.quoted(name)
        let nearest = SettingsSource.declared.keys.map { ($0, distance($0, name)) }.min { ($0.1, $0.0) < ($1.1, $1.0) }
        guard let (known, count) = nearest, count <= max(2, known.utf8.count / 3) else {
            return "unknown setting \(quoted)"
        }
        return "unknown setting \(quoted); did you mean \(known)?"
    }

    /// How many letters must be put in, left out or changed to make one text of the other (Levenshtein).
    private static func distance(_ one: String, _ other: String) -> Int {
        let (one, other) = (Array(one.lowercased().utf8), Array(other.lowercased().utf8.prefix(100)))
        var row = Array(0...other.count)
        for (place, letter) in one.enumerated() {
            var last = row[0]
            row[0] = place + 1
            for (index, letterThere) in other.enumerated() {
                let changed = last + (letter == letterThere ? 0 : 1)
                last = row[index + 1]
                row[index + 1] = min(changed, row[index] + 1, last + 1)
            }
        }
        return row[other.count]
    }

    // MARK: Errors

    private static func problem(_ path: String, line: Int?, _ reason: String) -> SettingsError {
        let place = line.map { ", line \($0)" } ?? ""
        return SettingsError(
            setting: "CLOAKROOM_CONFIG", reason: "\(SettingsError.quoted(path))\(place): \(reason)")
    }

    /// What the parser says, without the piece of the file that it quotes: that may be a secret.
    private static func problem(_ path: String, _ error: any Error) -> SettingsError {
        switch error {
        case YamlError.scanner(_, let problem, let mark, _), YamlError.parser(_, let problem, let mark, _),
            YamlError.composer(_, let problem, let mark, _):
            let hint = problem.contains("cannot start any token") ? " (a tab, or a text that needs quotes?)" : ""
            return Self.problem(path, line: mark.line, problem + hint)
        case YamlError.duplicatedKeysInMapping(let names, let context):
            let shown = names.prefix(3).map { SettingsError.quoted($0) }.joined(separator: ", ")
            return Self.problem(path, line: context.mark.line, "there twice: \(shown)")
        case YamlError.reader(let problem, _, _, _): return Self.problem(path, line: nil, problem)
        default: return Self.problem(path, line: nil, "is not valid YAML")
        }
    }
}
