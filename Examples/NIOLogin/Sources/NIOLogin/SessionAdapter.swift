public import Cloakroom
public import CloakroomHTTP
import Foundation
import HTTPTypes
public import Logging
public import NIOCore
public import NIOHTTPTypes

/// Sessions, login and logout over bare SwiftNIO.
public struct SessionAdapter: Sendable {
    public typealias Connection = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

    let store: any SessionStore
    let endpoints: AuthEndpoints
    let security: SecurityFields
    let failures = FailureAnswers()
    let logger: Logger
    let handler: @Sendable (SessionRequest) async throws -> HTTPAnswer

    public init(
        store: any SessionStore, endpoints: AuthEndpoints, publicURL: PublicURL, logger: Logger,
        handler: @escaping @Sendable (SessionRequest) async throws -> HTTPAnswer
    ) {
        self.store = store
        self.endpoints = endpoints
        self.security = SecurityFields(publicURL: publicURL)
        self.logger = logger
        self.handler = handler
    }

    /// Answers the requests of one connection, one after the other. Their bodies are read and ignored.
    public func serve(_ connection: Connection) async throws {
        let address = connection.channel.remoteAddress?.ipAddress
        try await connection.executeThenClose { inbound, outbound in
            for try await case .head(let head) in inbound {
                var answer = await self.answer(head, from: address)
                answer.headers[.contentLength] = "\(answer.body.count)"
                try await outbound.write(.head(HTTPResponse(status: answer.status, headerFields: answer.headers)))
                if head.method != .head { try await outbound.write(.body(ByteBuffer(bytes: answer.body))) }
                try await outbound.write(.end(nil))
            }
        }
    }

    private func answer(_ head: HTTPRequest, from address: String?) async -> HTTPAnswer {
        let session = RequestSession(head.headerFields, in: store, cookies: endpoints.cookies)
        let request = SessionRequest(
            head, session: session, id: UUID().uuidString, clientAddress: address, logger: logger)
        var answer: HTTPAnswer
        if let endpoint = AuthEndpoint(path: (head.path ?? "").prefix { $0 != "?" }) {
            answer = await endpoints.answer(endpoint, request)
        } else {
            do { answer = try await handler(request) } catch {
                answer = failures.answer(to: error, head, requestID: request.id, logger: logger)
            }
        }
        security.add(to: &answer.headers)
        return answer
    }
}
