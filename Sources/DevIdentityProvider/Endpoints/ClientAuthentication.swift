import Cloakroom
import HTTPTypes
import Hummingbird

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// How a client proves who it is at the token endpoint (RFC 6749 §2.3.1).
enum ClientAuthentication {
    /// - Returns: the client.
    /// - Throws: ``TokenError`` `invalid_client`, or `invalid_request` when it came in two ways at once.
    static func client(
        _ request: Request, form: FormParameters, clients: [DevIdentityProvider.Client]
    ) throws(TokenError) -> DevIdentityProvider.Client {
        let header = request.headers[.authorization]
        let failed = TokenError.invalidClient(challenge: header != nil)
        let id: String
        let secret: String?
        if let header {
            guard form["client_secret"] == nil else {
                throw TokenError("invalid_request", "The client authenticated in two ways")
            }
            guard let (basicID, basicSecret) = basic(header), form["client_id"] == nil || form["client_id"] == basicID
            else { throw failed }
            id = basicID
            secret = basicSecret
        } else {
            guard let formID = form["client_id"] else { throw failed }
            id = formID
            secret = form["client_secret"]
        }
        guard let client = clients.first(where: { $0.id == id }) else { throw failed }
        switch (client.secret, secret) {
        case (nil, nil), (nil, ""):
            return client
        case (let expected?, let given?) where Secrets.equal(expected, given):
            return client
        default:
            throw failed
        }
    }

    /// Both halves are form-encoded before they are joined.
    private static func basic(_ header: String) -> (id: String, secret: String)? {
        let parts = header.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "basic", let bytes = Data(base64Encoded: String(parts[1])),
            let text = String(validating: bytes, as: UTF8.self)
        else { return nil }
        let halves = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard halves.count == 2, let id = PercentCoding.decodeForm(halves[0]),
            let secret = PercentCoding.decodeForm(halves[1])
        else { return nil }
        return (id, secret)
    }
}
