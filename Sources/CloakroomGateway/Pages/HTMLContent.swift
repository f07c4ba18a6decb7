import Cloakroom
import Mustache

/// Escapes what templates insert.
///
/// Mustache's own HTML content type looks at whole characters, so that a quote with a combining mark passes it unescaped;
/// this one looks at Unicode scalars, as browsers do.
struct HTMLContent: MustacheContentType {
    static let name = "CLOAKROOM_HTML"

    func escapeText(_ text: String) -> String { HTMLText.escape(text) }
}
