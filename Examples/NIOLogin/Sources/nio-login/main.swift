import AsyncHTTPClient
import Cloakroom
import CloakroomHTTP
import CloakroomOIDC
import Foundation
import HTTPTypes
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOLogin
import NIOPosix

// Greets who is logged in: OIDC_ISSUER=… OIDC_CLIENT_ID=… OIDC_CLIENT_SECRET=… PORT=8020 swift run nio-login

let environment = ProcessInfo.processInfo.environment
let logger = Logger(label: "nio-login")
guard let port = Int(environment["PORT"] ?? "8020"), let publicURL = PublicURL("http://localhost:\(port)"),
    let issuer = environment["OIDC_ISSUER"], let clientID = environment["OIDC_CLIENT_ID"]
else {
    FileHandle.standardError.write(Data("nio-login: set OIDC_ISSUER and OIDC_CLIENT_ID, and PORT to a number\n".utf8))
    exit(78)
}

let store = InMemorySessionStore(logger: logger)
let provider = RelyingParty(
    configuration: OIDCConfiguration(
        issuer: issuer, clientID: clientID, clientSecret: environment["OIDC_CLIENT_SECRET"],
        redirectURI: publicURL.origin + AuthEndpoint.callback.path,
        postLogoutRedirectURI: publicURL.origin + "/"),
    httpClient: HTTPClient(
        eventLoopGroup: MultiThreadedEventLoopGroup.singleton, configuration: RelyingParty.httpClientConfiguration()),
    logger: logger)
let adapter = SessionAdapter(
    store: store,
    endpoints: AuthEndpoints(store: store, records: store, provider: provider, publicURL: publicURL),
    publicURL: publicURL, logger: logger
) { request in
    guard let live = try await request.session.current() else {
        return HTTPAnswer(status: .seeOther, headers: [.location: AuthEndpoint.login.path])
    }
    return HTTPAnswer(
        status: .ok, headers: [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"],
        body: Array("Hello, \(live.session.userInfo.name ?? "you")\n".utf8))
}

let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
    .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
    .bind(host: "127.0.0.1", port: port) { channel in
        channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.configureHTTPServerPipeline()
            try channel.pipeline.syncOperations.addHandler(HTTP1ToHTTPServerCodec(secure: false))
            return try SessionAdapter.Connection(wrappingChannelSynchronously: channel)
        }
    }
try await withThrowingDiscardingTaskGroup { group in
    group.addTask { try await store.run() }
    try await server.executeThenClose { connections in
        for try await connection in connections {
            // A client that hangs up ends its connection, and no other.
            group.addTask { try? await adapter.serve(connection) }
        }
    }
}
