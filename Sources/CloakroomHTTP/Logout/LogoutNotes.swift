import Cloakroom
import Crypto

import struct Foundation.Date

/// What replicas remember together of logouts that end more than the session of one browser: the names of the provider's logout
/// tokens, so that none is used twice, and for the minutes of a login a note of each such logout, so that a login that is being
/// completed does not outlive it.
///
/// Only verified tokens and users who are logged in write here.
struct LogoutNotes: Sendable {
    /// For how long a token's name is taken before its sessions have ended: should the replica die meanwhile, the provider's
    /// next try is served after that.
    private static let claimTime = Duration.seconds(15)
    /// Longer than a login can take.
    private static let noteTime = Duration.seconds(LoginTransactions.lifetimeInSeconds + 120)
    /// By how much the clocks of two replicas may differ where a provider's session is concerned. A provider ends each session
    /// once, so a little too much does no harm.
    private static let tolerance = 5.0
    /// The start of a login is known to the second.
    private static let precision = 1.0

    let records: any OneTimeRecordStore

    // MARK: Tokens

    /// Takes the token's name.
    ///
    /// - Returns: `false` when the token was used before.
    func claim(_ logout: ProviderLogout) async throws -> Bool {
        try await storeCall {
            try await records.putRecordIfAbsent([], key: Self.tokenKey(logout), lifetime: Self.claimTime)
        }
    }

    /// Keeps the name for as long as the token would be accepted.
    func keep(_ logout: ProviderLogout, at now: Date = Date()) async throws {
        let left = max(logout.acceptedUntil.timeIntervalSince(now), 1)
        try await storeCall {
            try await records.putRecord([], key: Self.tokenKey(logout), lifetime: .seconds(left))
        }
    }

    /// Gives the name back, as the sessions could not be ended: the provider may try again.
    func release(_ logout: ProviderLogout) async {
        await Task { [records] in _ = try? await records.takeRecord(key: Self.tokenKey(logout)) }.value
    }

    // MARK: Notes

    /// Notes a logout for logins under way. Call it before the sessions are ended: a login that stores its session later finds
    /// the note, and one that has stored it sooner loses it with the others.
    func note(_ subject: ProviderLogout.Subject, at now: Date = Date()) async throws {
        try await storeCall {
            try await records.putRecord(
                Array("\(Self.microseconds(now))".utf8), key: Self.noteKey(subject), lifetime: Self.noteTime)
        }
    }

    /// Whether a login's session was to end before it was stored. Call it when the session is stored.
    ///
    /// - Parameters:
    ///   - result: who logged in.
    ///   - began: when the login began, cut to the second.
    ///   - redeemed: when the provider was asked for the tokens.
    func haveEnded(_ result: LoginResult, began: Date, redeemed: Date) async throws -> Bool {
        let session = result.providerSessionID.map {
            ProviderLogout.Subject.session(ProviderSession(issuer: result.issuer, sid: $0))
        }
        let user = result.userInfo.subject.map {
            ProviderLogout.Subject.user(UserIdentity(issuer: result.issuer, subject: $0))
        }
        async let sessionNote = time(of: session)
        async let userNote = time(of: user)
        if let noted = try await sessionNote, noted >= Self.microseconds(began.addingTimeInterval(-Self.tolerance)) {
            return true
        }
        guard let noted = try await userNote else { return false }
        // A user who logs in again right after the logout must not be taken for one who was at it before.
        return noted >= Self.microseconds(redeemed)
            || noted >= Self.microseconds(began.addingTimeInterval(Self.precision))
    }

    /// When a logout was noted, in microseconds; `nil` when none was.
    private func time(of subject: ProviderLogout.Subject?) async throws -> Int64? {
        guard let subject else { return nil }
        let record = try await storeCall { try await records.readRecord(key: Self.noteKey(subject)) }
        guard let record else { return nil }
        // What can't be read was written by a release to come: it means a logout all the same.
        return Int64(String(decoding: record, as: UTF8.self)) ?? .max
    }

    /// The Unix time in whole microseconds: two logins of a user may be less than a millisecond apart.
    private static func microseconds(_ time: Date) -> Int64 {
        Int64((time.timeIntervalSince1970 * 1_000_000).rounded(.down))
    }

    // MARK: Keys

    private static func tokenKey(_ logout: ProviderLogout) -> String {
        key("token", logout.issuer, logout.tokenID)
    }

    private static func noteKey(_ subject: ProviderLogout.Subject) -> String {
        switch subject {
        case .session(let session): key("sid", session.issuer ?? "", session.sid)
        case .user(let user): key("sub", user.issuer ?? "", user.subject)
        }
    }

    /// A hash, so that any text makes a key. The issuer's length stands before it, so that no two pairs make one text.
    private static func key(_ kind: String, _ issuer: String, _ name: String) -> String {
        let text = Array("\(issuer.utf8.count):\(issuer) \(name)".utf8)
        return "logout-\(kind)-" + Base64URL.encode(Array(SHA256.hash(data: text)))
    }
}
