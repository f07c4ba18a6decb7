import AsyncHTTPClient
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1

/// What a server that knows no session does with Hummingbird, for the figures to stand beside:
/// `/hello` answers a constant, and all else is forwarded to an upstream with AsyncHTTPClient.
@main
struct Peer {
    static func main() async throws {
        guard CommandLine.arguments.count == 3, let port = Int(CommandLine.arguments[1]) else {
            FileHandle.standardError.write(Data("usage: cloakroom-bench-peer PORT UPSTREAM-URL\n".utf8))
            exit(64)
        }
        let upstream = CommandLine.arguments[2]
        var logger = Logger(label: "peer")
        logger.logLevel = .error
        let router = Router()
        router.get("hello") { _, _ in "Hello, world" }
        router.get("**") { request, _ -> Response in
            var outgoing = HTTPClientRequest(url: upstream + request.uri.path)
            outgoing.method = .GET
            let response = try await HTTPClient.shared.execute(outgoing, timeout: .seconds(10))
            var fields = HTTPFields()
            for (name, value) in response.headers where name.lowercased() != "connection" {
                if let name = HTTPField.Name(name) { fields.append(HTTPField(name: name, value: value)) }
            }
            return Response(
                status: .init(code: Int(response.status.code)), headers: fields,
                body: ResponseBody(asyncSequence: response.body))
        }
        let app = Application(
            router: router, configuration: .init(address: .hostname("127.0.0.1", port: port)), logger: logger)
        try await app.runService()
    }
}
