package import HTTPTypes

extension HTTPRequest {
    /// Whether a person waits for a page, rather than a program for data.
    package var wantsPage: Bool {
        guard method == .get || method == .head || method == .post else { return false }
        if let mode = headerFields[.secFetchMode] { return mode == "navigate" }
        return headerFields[.accept]?.contains("text/html") ?? false
    }

    /// The target's path, without its query; `nil` if the target is no path, as that of `CONNECT` and `OPTIONS *`.
    package var pathWithoutQuery: Substring? {
        guard let path, path.utf8.first == UInt8(ascii: "/") else { return nil }
        return path.prefix { $0 != "?" && $0 != "#" }
    }

    /// The target's query, without its question mark.
    var query: String? {
        guard let path, let mark = path.utf8.firstIndex(of: UInt8(ascii: "?")) else { return nil }
        return String(path[path.utf8.index(after: mark)...])
    }
}
