/// Text for HTML pages.
package enum HTMLText {
    /// Escapes text for HTML, attributes included. By Unicode scalars, not characters: a quote with a combining mark is
    /// another character but still a quote to a browser.
    package static func escape(_ text: String) -> String {
        var out = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "\"": out += "&quot;"
            case "'": out += "&#39;"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }
}
