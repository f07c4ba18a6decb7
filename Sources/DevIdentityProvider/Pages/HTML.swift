import Cloakroom

/// Text that is safe to put into a page.
struct HTML: Sendable, ExpressibleByStringInterpolation {
    let text: String

    /// Markup that stands in the source code.
    init(stringLiteral value: String) {
        text = value
    }

    init(stringInterpolation: StringInterpolation) {
        text = stringInterpolation.text
    }

    /// Escapes each value that is put in, unless it is markup already.
    struct StringInterpolation: StringInterpolationProtocol {
        fileprivate var text = ""

        init(literalCapacity: Int, interpolationCount: Int) {}
        mutating func appendLiteral(_ literal: String) { text += literal }
        mutating func appendInterpolation(_ value: String) { text += HTMLText.escape(value) }
        mutating func appendInterpolation(_ markup: HTML) { text += markup.text }
    }
}
