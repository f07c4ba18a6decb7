import ArgumentParser
import Cloakroom
import CloakroomRedis

/// Which user is meant.
struct UserOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Those of one user.", valueName: "sub or name"))
    var user: String?
    @Option(help: ArgumentHelp("At which provider that user is (default: OIDC_ISSUER).", valueName: "url"))
    var issuer: String?

    func validate() throws {
        guard issuer == nil || user != nil else { throw ValidationError("--issuer goes with --user") }
    }

    /// The sessions of the user with this `sub`, as the index has them; if there is none, all are walked over for the ones
    /// with this `sub` or name.
    static func sessions(
        of user: String, issuer: String?, in store: RedisSessionStore
    ) async throws -> [LocatedSession] {
        let bySubject = try await store.locate(subject: user, issuer: issuer)
        guard bySubject.isEmpty else { return bySubject }
        let progress = Progress("looked at", of: try? await store.estimatedSessionCount())
        defer { progress.end() }
        return try await store.locate(where: { isOf(user, issuer, $0) }, progress: { progress.step($0) })
    }

    private static func isOf(_ user: String, _ issuer: String?, _ session: SessionSummary) -> Bool {
        let names = [session.subject, session.userName].compactMap { $0 }
        guard names.contains(where: { $0.utf8.elementsEqual(user.utf8) }) else { return false }
        guard let issuer, let theirs = session.issuer else { return true }
        return theirs.utf8.elementsEqual(issuer.utf8)
    }
}
