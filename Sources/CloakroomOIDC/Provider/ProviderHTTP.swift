import AsyncHTTPClient
import Cloakroom
import NIOCore
import NIOHTTP1
import NIOSSL

/// Requests to the provider: bounded in time and size, no redirect followed, no secret in an error.
struct ProviderHTTP: Sendable {
    /// An answer, whatever its status.
    struct Response: Sendable {
        let status: Int
        /// The media type in lower case and without parameters.
        let mediaType: String
        let body: [UInt8]

        /// The body if it is a JSON object. Its media type is not asked: providers get it wrong.
        var object: JSONObject? { (try? JSONValue(parsing: body))?.object }
    }

    let client: HTTPClient
    let timeout: Duration
    /// How connections are encrypted; `nil` for what the client does.
    var tls: TLSConfiguration?

    /// Fetches a public JSON document.
    func document(
        at url: String, _ endpoint: ProviderEndpoint, limit: Int
    ) async throws(OIDCError) -> JSONObject {
        let name = endpoint.answer
        let response = try await send(request(url), endpoint, limit: limit)
        guard response.status == 200 else { throw Self.unexpectedStatus(response.status, name: name) }
        guard let object = response.object else {
            throw OIDCError(.invalidResponse, reason: "\(name) is not a JSON object")
        }
        return object
    }

    /// A `GET` that asks for JSON.
    func request(_ url: String, authorization: String? = nil) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: url)
        request.tlsConfiguration = tls
        request.headers.add(name: "accept", value: "application/json")
        request.headers.add(name: "user-agent", value: "cloakroom")
        if let authorization { request.headers.add(name: "authorization", value: authorization) }
        return request
    }

    /// A `POST` of a form.
    func request(_ url: String, authorization: String?, form: Parameters) -> HTTPClientRequest {
        var request = request(url, authorization: authorization)
        request.method = .POST
        request.headers.add(name: "content-type", value: "application/x-www-form-urlencoded")
        request.body = .bytes(ByteBuffer(string: form.encoded))
        return request
    }

    /// Sends a request and reads the whole answer.
    ///
    /// - Parameters:
    ///   - endpoint: what is asked for.
    ///   - limit: the largest body that is read, in bytes.
    func send(
        _ request: HTTPClientRequest, _ endpoint: ProviderEndpoint, limit: Int
    ) async throws(OIDCError) -> Response {
        let clock = ContinuousClock()
        let began = clock.now
        do throws(OIDCError) {
            let response = try await exchange(request, name: endpoint.answer, limit: limit)
            endpoint.note(clock.now - began, response.status < 400 ? .ok : response.status < 500 ? .refused : .failed)
            return response
        } catch {
            endpoint.note(clock.now - began, .failed)
            throw error
        }
    }

    private func exchange(
        _ request: HTTPClientRequest, name: String, limit: Int
    ) async throws(OIDCError) -> Response {
        let client = client
        let timeout = timeout
        do {
            return try await withTimeout(timeout) {
                let response = try await client.execute(request, timeout: TimeAmount(timeout))
                guard response.history.count <= 1 else {
                    throw OIDCError(.invalidResponse, reason: "\(name) was redirected")
                }
                let status = Int(response.status.code)
                let mediaType = Self.mediaType(response.headers.first(name: "content-type"))
                // What stands in the body of a failing or redirecting server is of no use.
                guard (200..<300).contains(status) || (400..<500).contains(status) else {
                    return Response(status: status, mediaType: mediaType, body: [])
                }
                let body = try await response.body.collect(upTo: limit)
                return Response(status: status, mediaType: mediaType, body: Array(body.readableBytesView))
            }
        } catch let error as OIDCError {
            throw error
        } catch is NIOTooManyBytesError {
            throw OIDCError(.invalidResponse, reason: "\(name) is larger than \(limit) bytes")
        } catch is TimedOut {
            throw OIDCError(.providerUnavailable, reason: "\(name) took too long")
        } catch let error as HTTPClientError where HTTPFailure.timeouts.contains(error) {
            throw OIDCError(.providerUnavailable, reason: "\(name) took too long")
        } catch {
            throw OIDCError(.providerUnavailable, reason: "\(name) could not be had (\(HTTPFailure.describe(error)))")
        }
    }

    /// What a status means that is not the one hoped for.
    static func unexpectedStatus(_ status: Int, name: String) -> OIDCError {
        switch status {
        case 408, 425, 429, 500...599:
            OIDCError(.providerUnavailable, reason: "\(name): the provider answered \(status)")
        case 300..<400:
            OIDCError(.invalidResponse, reason: "\(name): the provider answered with a redirect (\(status))")
        default:
            OIDCError(.invalidResponse, reason: "\(name): the provider answered \(status)")
        }
    }

    private static func mediaType(_ value: String?) -> String {
        guard let type = value?.prefix(while: { $0 != ";" }) else { return "" }
        return type.lowercased().split(separator: " ").joined()
    }
}
