import Cloakroom
import HTTPTypes
public import Hummingbird
import Logging

/// Turns what handlers throw into responses: a page for people, JSON for programs, never the error's own text.
///
/// A failing store becomes 503 with `Retry-After`, and no cookie is touched: the user is neither let in nor logged out.
public struct FailureMiddleware<Context: RequestContext>: RouterMiddleware {
    /// How long a client should wait before it tries again, in seconds.
    package static var retryAfter: String { "5" }

    private let pages: any ErrorPageRenderer

    /// Makes the middleware.
    public init(pages: any ErrorPageRenderer = PlainErrorPages()) { self.pages = pages }

    public func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as SessionStoreError {
            context.logger.error("The session store failed", metadata: ["error": "\(error)"])
            return respond(.storeUnavailable(context.id), request)
        } catch let failure as Failure {
            return respond(failure, request)
        } catch let error as HTTPError {
            return respond(Failure(error, requestID: context.id), request)
        } catch is CancellationError {
            // The client hung up or the server stops: nothing failed.
            context.logger.debug("A request was cancelled")
            return respond(Failure(HTTPError(.serviceUnavailable), requestID: context.id), request)
        } catch {
            context.logger.error("A handler failed", metadata: ["error.type": "\(type(of: error))"])
            return respond(Failure(HTTPError(.internalServerError), requestID: context.id), request)
        }
    }

    private func respond(_ failure: Failure, _ request: Request) -> Response {
        var headers = failure.headers
        if failure.page.status == .serviceUnavailable { headers[.retryAfter] = Self.retryAfter }
        guard request.wantsPage else {
            return .json(
                ["error": .string(failure.name), "request_id": .string(failure.page.requestID)],
                status: failure.page.status, headers: headers)
        }
        return .html(pages.html(for: failure.page), status: failure.page.status, headers: headers)
    }
}

/// A request that ends in an error page, or in JSON with the error's name.
package struct Failure: Error {
    package let name: String
    package let page: ErrorPage
    package var headers: HTTPFields = [:]

    package init(name: String, page: ErrorPage, headers: HTTPFields = [:]) {
        self.name = name
        self.page = page
        self.headers = headers
    }

    init(_ error: HTTPError, requestID: String) {
        headers = error.headers
        let (title, message): (String, String) =
            switch error.status {
            case .notFound: ("Not found", "There is nothing at this address.")
            case .contentTooLarge: ("Too large", "The request was too large.")
            case .serviceUnavailable: ("One moment, please", "The server can't answer right now. Please try again.")
            case .internalServerError: ("Something went wrong", "The server could not answer. Please try again.")
            default: ("That did not work", "The request could not be answered.")
            }
        name =
            switch error.status {
            case .notFound: "not_found"
            case .internalServerError: "internal_error"
            case .serviceUnavailable: "service_unavailable"
            default: "request_refused"
            }
        page = ErrorPage(
            status: error.status, title: title, message: message, requestID: requestID,
            action: .init(label: "Go to the start page", path: "/"))
    }

    static func storeUnavailable(_ requestID: String) -> Failure {
        Failure(
            name: "session_store_unavailable",
            page: ErrorPage(
                status: .serviceUnavailable, title: "One moment, please",
                message:
                    "Sessions can't be reached right now. Who was logged in still is; please try again in a few seconds.",
                requestID: requestID, action: .init(label: "Go to the start page", path: "/")))
    }
}
