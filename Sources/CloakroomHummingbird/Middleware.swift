public import Cloakroom
public import CloakroomHTTP
public import Hummingbird
import NIOCore

/// Lets through only API requests that this app's own pages sent; others get 403 and reach nothing behind it.
public struct APIGuardMiddleware<Context: RequestContext>: RouterMiddleware {
    private let requestGuard: RequestGuard
    private let events: SessionEvents?

    /// Makes the middleware.
    ///
    /// - Parameters:
    ///   - requestGuard: which requests pass.
    ///   - events: what to tell of requests that were refused.
    public init(_ requestGuard: RequestGuard, events: SessionEvents? = nil) {
        self.requestGuard = requestGuard
        self.events = events
    }

    public func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        if let refusal = requestGuard.refusal(ofAPIRequest: request.headers) {
            events?.emit(SessionEvent(.denied(reason: refusal.rawValue)))
            return Response(.refused(refusal))
        }
        return try await next(request, context)
    }
}

/// Turns what handlers throw into responses: see `FailureAnswers`.
public struct FailureMiddleware<Context: RequestContext>: RouterMiddleware {
    private let failures: FailureAnswers

    /// Makes the middleware.
    public init(pages: any ErrorPageRenderer = PlainErrorPages()) { failures = FailureAnswers(pages: pages) }

    public func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch {
            var failure = error
            if let error = error as? HTTPError { failure = Self.failure(for: error, context.id) }
            return Response(
                failures.answer(to: failure, request.head, requestID: context.id, logger: context.logger))
        }
    }

    private static func failure(for error: HTTPError, _ requestID: String) -> RequestFailure {
        guard error.status == .unauthorized else {
            return RequestFailure(error.status, headers: error.headers, requestID: requestID)
        }
        return RequestFailure(
            name: "unauthenticated",
            page: ErrorPage(
                status: error.status, title: "You are not logged in", message: "Please log in and try again.",
                requestID: requestID, action: .init(label: "Go to the start page", path: "/")),
            headers: error.headers)
    }
}

/// Puts the fields on every response that tell browsers to be careful with it: see `SecurityFields`.
public struct SecurityHeadersMiddleware<Context: RequestContext>: RouterMiddleware {
    private let fields: SecurityFields

    /// Makes the middleware; the parameters are those of `SecurityFields`.
    public init(publicURL: PublicURL, contentSecurityPolicy: String = SecurityFields.defaultPolicy) {
        fields = SecurityFields(publicURL: publicURL, contentSecurityPolicy: contentSecurityPolicy)
    }

    public func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        var response = try await next(request, context)
        fields.add(to: &response.headers)
        return response
    }
}

extension Response {
    /// The answer as a response.
    public init(_ answer: HTTPAnswer) {
        self.init(
            status: answer.status, headers: answer.headers,
            body: .init(byteBuffer: ByteBuffer(bytes: answer.body)))
    }
}
