import Cloakroom
import CloakroomHTTP
import CloakroomHTTP1
import CloakroomOIDC
import HTTPTypes

/// Says for a request whose session it has, whether it may pass, and with which token.
///
/// It decides at once where the session is in memory and no refresh is due; else a task asks the store and the provider.
struct Admission: Sendable {
    /// A request that may pass.
    struct Pass: Sendable {
        let session: PresentedSession
        let accessToken: String
    }

    /// What came of it.
    enum Decision: Sendable {
        case pass(Pass)
        case refuse(HTTPAnswer)
    }

    /// What can be said without waiting.
    enum Immediate {
        case decided(Decision)
        /// ``decide(_:)`` must be asked.
        case ask(PresentedSession)
    }

    let store: any SessionStore
    private let endNotes: any SessionEndNotes
    let near: (any NearSessions)?
    let refresher: TokenRefresher
    let events: SessionEvents
    let guardBytes: GuardBytes
    private let cookieName: [UInt8]

    init(
        store: any SessionStore & SessionEndNotes, refresher: TokenRefresher, events: SessionEvents,
        publicURL: PublicURL,
        cookies: CookieSettings
    ) {
        self.store = store
        endNotes = store
        near = store as? any NearSessions
        self.refresher = refresher
        self.events = events
        cookieName = Array(cookies.sessionName.utf8)
        guardBytes = GuardBytes(publicURL: publicURL)
    }

    /// The session that a request presents.
    ///
    /// - Parameter memory: the one that the connection presented last: it is mostly the same.
    /// - Returns: `nil` when there is no cookie, or none that could be ours.
    func presented(_ head: RequestHead, _ memory: inout PresentedSession?) -> PresentedSession? {
        head.fields.withBytes { bytes in
            guard case .value(let range) = CookieBytes.find(cookieName, in: head.fields, bytes) else { return nil }
            let text = UnsafeRawBufferPointer(rebasing: bytes[range])
            if let memory, memory.matches(text) { return memory }
            guard let id = SessionID(String(decoding: text, as: UTF8.self)) else { return nil }
            let session = PresentedSession(id)
            memory = session
            return session
        }
    }

    /// Decides what can be decided at once.
    func decideNow(_ presented: PresentedSession?) -> Immediate {
        guard let presented else { return .decided(.refuse(.unauthenticated)) }
        guard let session = near?.nearSession(for: presented.id), refresher.isFresh(session) else {
            return .ask(presented)
        }
        return .decided(.pass(Pass(session: presented, accessToken: session.tokens.accessToken)))
    }

    /// Asks the store, and the provider if a refresh is due.
    ///
    /// - Throws: ``SessionStoreError`` when the store can't tell.
    func decide(_ presented: PresentedSession) async throws -> Decision {
        guard let session = try await storeCall({ try await store.session(for: presented.id) }) else {
            return await refusal(presented)
        }
        switch try await refresher.freshSession(session, for: presented.id) {
        case .ended:
            return await refusal(presented)
        case .providerUnavailable(let retryAfter):
            return .refuse(
                .problem(
                    "provider_unavailable", status: .serviceUnavailable,
                    headers: [.retryAfter: "\(max(1, retryAfter.components.seconds + 1))"]))
        case .ready(let session):
            return .pass(Pass(session: presented, accessToken: session.tokens.accessToken))
        }
    }

    /// 401, with the reason for which the session has ended, if that was lately.
    private func refusal(_ presented: PresentedSession) async -> Decision {
        .refuse(.unauthenticated(because: try? await endNotes.endReason(of: presented.handle)))
    }
}

/// The session ID of a cookie, with what is made of it once for all requests of a connection.
///
/// It is a class, as each request hands it on several times.
final class PresentedSession: Sendable {
    let id: SessionID
    let handle: SessionHandle

    init(_ id: SessionID) {
        self.id = id
        handle = id.handle
    }

    /// Whether the cookie's bytes are this ID, in a time that depends on their count alone: behind a proxy, a connection
    /// may carry the requests of many users.
    func matches(_ text: UnsafeRawBufferPointer) -> Bool {
        var secret = id.secret
        return secret.withUTF8 { secret in
            guard secret.count == text.count else { return false }
            var difference: UInt8 = 0
            for index in 0..<secret.count { difference |= secret[index] ^ text[index] }
            return difference == 0
        }
    }
}
