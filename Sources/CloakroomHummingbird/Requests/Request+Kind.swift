import HTTPTypes
package import Hummingbird

extension Request {
    /// Whether a person waits for a page, rather than a program for data.
    package var wantsPage: Bool {
        guard method == .get || method == .head || method == .post else { return false }
        if let mode = headers[.secFetchMode] { return mode == "navigate" }
        return headers[.accept]?.contains("text/html") ?? false
    }
}
