/// Where to go after the login: a path of this app and nothing else (RFC 9700 §4.11, ASVS 3.7.2).
public struct ReturnAddress: Sendable, Equatable {
    /// The longest that is accepted, in bytes.
    public static let maximumLength = 2048

    /// The path, with its query if any.
    public let path: String

    /// Takes a path that begins with a single `/`; anything else becomes `/`.
    ///
    /// Refused are `//host` and everything that a browser might read that way: backslashes, control characters and spaces
    /// (which browsers drop or turn), text outside ASCII, and whatever is too long; and the routes of login and logout, as a
    /// login that leads to another login would go round in circles, and those that take no `GET`.
    public init(_ text: String?) {
        guard let text, Self.isLocalPath(text) else {
            path = "/"
            return
        }
        path = text
    }

    private static func isLocalPath(_ text: String) -> Bool {
        let bytes = Array(text.utf8.prefix(maximumLength + 1))
        guard bytes.count <= maximumLength, bytes.first == UInt8(ascii: "/"),
            bytes.count == 1 || bytes[1] != UInt8(ascii: "/")
        else { return false }
        let path = text.prefix { $0 != "?" && $0 != "#" }
        guard !AuthEndpoint.isNotToReturnTo(path) else { return false }
        return bytes.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\\") }
    }
}
