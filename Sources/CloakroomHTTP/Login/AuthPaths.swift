public import Cloakroom

/// Where the routes of login, logout and a user's own sessions are: where ``AuthEndpoint`` says, unless an app wants them elsewhere.
///
/// ```swift
/// let paths = AuthPaths(under: "/account")                     // /account/login, /account/callback …
/// let paths: AuthPaths = [.login: "/sign-in", .logout: "/sign-out"]
/// let endpoints = AuthEndpoints(store: store, records: store, provider: provider, publicURL: publicURL).moved(to: paths)
/// ```
///
/// The identity provider must know the path of ``AuthEndpoint/callback``, as a part of the redirect URI.
public struct AuthPaths: Sendable, Equatable, ExpressibleByDictionaryLiteral {
    private var moved: [AuthEndpoint: String] = [:]

    /// Moves endpoints; the others stay where they are.
    ///
    /// A path begins with `/` and has letters, digits and `/ - _ . ~` alone, and each endpoint needs one of its own; one session
    /// is always below the list of them. Anything else is an error of the program, and ends it.
    public init(_ moved: [AuthEndpoint: String]) {
        precondition(moved[.session] == nil, "one session is below the list of sessions; move that")
        for path in moved.values {
            precondition(Self.isPath(path), "not a path for a route of login or logout: \(path)")
        }
        self.moved = moved
        let all = AuthEndpoint.allCases.map { self[$0] }
        precondition(Set(all).count == all.count, "two routes of login and logout have the same path")
    }

    public init(dictionaryLiteral elements: (AuthEndpoint, String)...) {
        self.init(Dictionary(elements) { $1 })
    }

    /// Moves all endpoints, with their names, to another place than `/auth`.
    ///
    /// - Parameter folder: begins with `/` and does not end with one; see ``init(_:)``.
    public init(under folder: String) {
        precondition(!folder.hasSuffix("/"), "the folder of the routes must not end with /: \(folder)")
        self.init(
            Dictionary(
                uniqueKeysWithValues: AuthEndpoint.allCases.filter { $0 != .session }
                    .map { ($0, folder + $0.path.dropFirst("/auth".count)) }))
    }

    /// Where an endpoint is; of one session with `{handle}` in the place of its handle.
    public subscript(endpoint: AuthEndpoint) -> String {
        endpoint == .session ? self[.sessions] + "/{handle}" : moved[endpoint] ?? endpoint.path
    }

    /// The path at which the session with this handle can be ended.
    public func path(ofSession handle: SessionHandle) -> String { "\(self[.sessions])/\(handle)" }

    /// The endpoint at a path.
    ///
    /// - Parameter path: a request's path without its query.
    /// - Returns: `nil` when none is there.
    public func endpoint(at path: some StringProtocol) -> AuthEndpoint? {
        guard !moved.isEmpty else { return AuthEndpoint(path: path) }
        if let endpoint = AuthEndpoint.allCases.first(where: { self[$0] == path }) { return endpoint }
        let folder = self[.sessions] + "/"
        guard path.hasPrefix(folder), path.count > folder.count, !path.dropFirst(folder.count).contains("/") else {
            return nil
        }
        return .session
    }

    /// Where a login may return to: as ``ReturnAddress`` says, and to no route of login and logout where it is now, as that
    /// would go round in circles.
    func returnAddress(_ text: String?) -> ReturnAddress {
        let address = ReturnAddress(text)
        guard let endpoint = endpoint(at: address.path.prefix { $0 != "?" && $0 != "#" }) else { return address }
        return AuthEndpoint.isNotToReturnTo(endpoint.path) ? ReturnAddress(nil) : address
    }

    private static func isPath(_ text: String) -> Bool {
        text.utf8.first == UInt8(ascii: "/") && text.utf8.count <= 256 && !text.hasPrefix("//")
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "/-_.~".utf8.contains(byte)
                }
            }
    }
}

extension AuthEndpoints {
    /// The same endpoints at other paths, which their answers lead to as well. The provider's redirect URI must be
    /// `paths[.callback]` at the public URL.
    public func moved(to paths: AuthPaths) -> AuthEndpoints {
        var moved = self
        moved.paths = paths
        return moved
    }
}
