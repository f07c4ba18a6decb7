import Cloakroom
public import HTTPTypes
public import Logging

/// Turns what handlers throw into answers: a page for people, problem JSON (RFC 9457) for programs, never the error's own text.
///
/// A failing store becomes 503 with `Retry-After`, and no cookie is touched: the user is neither let in nor logged out.
public struct FailureAnswers: Sendable {
    /// How long a client should wait before it tries again, in seconds.
    package static let retryAfter = "5"

    private let pages: any ErrorPageRenderer

    /// - Parameter pages: how error pages look.
    public init(pages: any ErrorPageRenderer = PlainErrorPages()) { self.pages = pages }

    /// The answer to a request whose handling failed; logged here if the operator should know.
    ///
    /// - Parameters:
    ///   - error: what was thrown. Of types that this module does not know, only the name is logged.
    ///   - head: the request.
    ///   - requestID: the name of the request in the log.
    ///   - logger: the request's.
    public func answer(
        to error: any Error, _ head: HTTPRequest, requestID: String, logger: Logger
    ) -> HTTPAnswer {
        switch error {
        case let error as SessionStoreError:
            logger.error("The session store failed", metadata: ["error": "\(error)"])
            return answer(to: .storeUnavailable(requestID), head)
        case let failure as RequestFailure:
            return answer(to: failure, head)
        case let error as ProviderUnavailableError:
            return answer(to: .providerUnavailable(error, requestID), head)
        case is CancellationError:
            // The client hung up or the server stops: nothing failed.
            logger.debug("A request was cancelled")
            return answer(to: RequestFailure(.serviceUnavailable, requestID: requestID), head)
        default:
            logger.error("A handler failed", metadata: ["error.type": "\(type(of: error))"])
            return answer(to: RequestFailure(.internalServerError, requestID: requestID), head)
        }
    }

    private func answer(to failure: RequestFailure, _ head: HTTPRequest) -> HTTPAnswer {
        var headers = failure.headers
        if failure.page.status == .serviceUnavailable, headers[.retryAfter] == nil {
            headers[.retryAfter] = Self.retryAfter
        }
        guard head.wantsPage else {
            return .problem(
                failure.name, status: failure.page.status, headers: headers,
                ["request_id": .string(failure.page.requestID), "detail": .string(failure.page.message)])
        }
        return .html(pages.html(for: failure.page), status: failure.page.status, headers: headers)
    }
}

/// A request that ends in an error page, or in JSON with the error's name.
public struct RequestFailure: Error {
    let name: String
    let page: ErrorPage
    let headers: HTTPFields

    /// Makes a failure.
    ///
    /// - Parameters:
    ///   - name: what programs are told, such as `not_found`.
    ///   - page: what people are told.
    ///   - headers: fields to send along.
    public init(name: String, page: ErrorPage, headers: HTTPFields = [:]) {
        self.name = name
        self.page = page
        self.headers = headers
    }

    /// Makes a failure of a status, with the words that fit it.
    public init(_ status: HTTPResponse.Status, headers: HTTPFields = [:], requestID: String) {
        self.headers = headers
        let (title, message): (String, String) =
            switch status {
            case .notFound: ("Not found", "There is nothing at this address.")
            case .contentTooLarge: ("Too large", "The request was too large.")
            case .serviceUnavailable: ("One moment, please", "The server can't answer right now. Please try again.")
            case .internalServerError: ("Something went wrong", "The server could not answer. Please try again.")
            default: ("That did not work", "The request could not be answered.")
            }
        name =
            switch status {
            case .notFound: "not_found"
            case .internalServerError: "internal_error"
            case .serviceUnavailable: "service_unavailable"
            default: "request_refused"
            }
        page = ErrorPage(
            status: status, title: title, message: message, requestID: requestID,
            action: .init(label: "Go to the start page", path: "/"))
    }

    static func storeUnavailable(_ requestID: String) -> RequestFailure {
        RequestFailure(
            name: "session_store_unavailable",
            page: ErrorPage(
                status: .serviceUnavailable, title: "One moment, please",
                message:
                    "Sessions can't be reached right now. You stay logged in. Please try again in a few seconds.",
                requestID: requestID, action: .init(label: "Go to the start page", path: "/")))
    }
}
