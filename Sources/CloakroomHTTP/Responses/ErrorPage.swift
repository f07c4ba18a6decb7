import Cloakroom
public import HTTPTypes

/// What a person is told when something did not work: never what a provider or a store said, but a request ID by which
/// the log has it.
public struct ErrorPage: Sendable {
    /// What the reader can do next.
    public struct Action: Sendable {
        /// What the link or button says.
        public var label: String
        /// Where it leads: a path of this app.
        public var path: String
        /// Whether it is a form that is sent with POST, rather than a link.
        public var isForm: Bool

        /// Makes an action.
        public init(label: String, path: String, isForm: Bool = false) {
            self.label = label
            self.path = path
            self.isForm = isForm
        }
    }

    /// The response's status.
    public var status: HTTPResponse.Status
    /// A few words.
    public var title: String
    /// One or two sentences.
    public var message: String
    /// The name of this request in the log.
    public var requestID: String
    /// What to do next.
    public var action: Action?

    /// Makes a page.
    public init(
        status: HTTPResponse.Status, title: String, message: String, requestID: String, action: Action? = nil
    ) {
        self.status = status
        self.title = title
        self.message = message
        self.requestID = requestID
        self.action = action
    }
}

/// Turns an ``ErrorPage``, or the list of a user's sessions, into HTML.
public protocol ErrorPageRenderer: Sendable {
    /// - Returns: a whole HTML document in which every text is escaped.
    func html(for page: ErrorPage) -> String

    /// - Returns: a whole HTML document in which every text is escaped. There is a plain one for renderers that do not make
    ///   their own.
    func html(for page: UserSessionsPage) -> String
}

/// Error pages without any style.
public struct PlainErrorPages: ErrorPageRenderer {
    /// Makes a renderer.
    public init() {}

    public func html(for page: ErrorPage) -> String {
        var action = ""
        if let next = page.action {
            let (path, label) = (HTMLText.escape(next.path), HTMLText.escape(next.label))
            action =
                next.isForm
                ? "<form method=\"post\" action=\"\(path)\"><button>\(label)</button></form>"
                : "<p><a href=\"\(path)\">\(label)</a></p>"
        }
        let title = HTMLText.escape(page.title)
        return """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><title>\(title)</title></head>
            <body><h1>\(title)</h1><p>\(HTMLText.escape(page.message))</p>\(action)
            <p>Request ID: <code>\(HTMLText.escape(page.requestID))</code></p></body></html>
            """
    }
}
