import ArgumentParser
import Cloakroom
import CloakroomGateway
import CloakroomRedis
import Logging
import ServiceLifecycle

struct SessionsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sessions",
        abstract: "List, look at, count, end, watch and move the sessions in Redis.",
        discussion: """
            They are those of REDIS_URL and REDIS_KEY_PREFIX, whichever store serve uses; SESSION_KEYS opens what lists need of \
            sealed ones. No provider is asked, and of its settings only OIDC_ISSUER counts, \
            which may be missing. Nothing shows a token or an ID unless it is asked to with --show-secrets. A session is named by \
            its handle, as in the log.

            EXIT CODES
              0 done, 1 failed or nothing found, 64 unknown flag, 69 Redis can't be reached, 78 wrong setting
            """,
        subcommands: [
            SessionsListCommand.self, SessionsShowCommand.self, SessionsCountCommand.self, SessionsRevokeCommand.self,
            SessionsWatchCommand.self, SessionsExportCommand.self, SessionsImportCommand.self,
        ]
    )
}

/// The sessions in Redis, for a command that works on them.
struct OpenedSessions: Sendable {
    /// Those of `REDIS_URL`.
    let store: RedisSessionStore
    /// Those of `REDIS_SECONDARY_URL`, of a hybrid store: what is to end must end there too, or it comes back.
    let secondary: RedisSessionStore?
    let settings: GatewaySettings

    /// The secondary first: what is ended in the primary is copied from there else.
    var all: [RedisSessionStore] { [secondary, store].compactMap { $0 } }

    /// Calls `body` with the store, and ends with an exit code that says what went wrong.
    ///
    /// - Parameters:
    ///   - both: whether the second store of a hybrid one is wanted too.
    ///   - issuer: what stands for `OIDC_ISSUER` where that is not set.
    ///   - patience: how long a call to Redis may take.
    static func with<Value: Sendable>(
        _ options: SettingsOptions, both: Bool = false, issuer: String? = nil, patience: Duration = .seconds(5),
        _ body: @escaping @Sendable (OpenedSessions) async throws -> Value
    ) async throws -> Value {
        var settings = try await settings(options)
        if settings.oidcIssuer.isEmpty, let issuer { settings.oidcIssuer = issuer }
        let factory = StoreFactory(settings: settings, logger: silent)
        func store(_ configuration: RedisStoreConfiguration) -> RedisSessionStore {
            var configuration = configuration
            configuration.commandTimeout = patience
            // Nothing is read twice.
            configuration.nearCache = nil
            return RedisSessionStore(configuration: configuration, policy: factory.policy, logger: silent)
        }
        let isHybrid = settings.effectiveStore == .hybrid
        let opened = OpenedSessions(
            store: store(try factory.primary()),
            secondary: both && isHybrid ? try factory.secondary().map(store) : nil, settings: settings)
        do {
            return try await withThrowingTaskGroup(of: Value?.self) { group in
                for store in opened.all {
                    group.addTask {
                        try? await store.run()
                        return nil
                    }
                }
                group.addTask { try await body(opened) }
                defer { group.cancelAll() }
                while let result = try await group.next() {
                    if let result { return result }
                }
                throw CancellationError()
            }
        } catch let error as SessionStoreError {
            throw failure(error)
        }
    }

    /// How a command ends that the store has failed.
    static func failure(_ error: SessionStoreError) -> Failure {
        Failure(error.description, error.code == .unavailable ? .unavailable : .failure)
    }

    /// The settings, if they name a Redis.
    static func settings(_ options: SettingsOptions) async throws -> GatewaySettings {
        let settings: GatewaySettings
        do {
            settings = try await options.load(needsProvider: false)
        } catch {
            throw Failure("\(error)", .wrongSetting)
        }
        guard settings.effectiveStore != .memory || settings.redis.isURLGiven else {
            throw Failure(
                "REDIS_URL is missing; give the Redis that has the sessions: those in a process's memory can't be seen from outside",
                .wrongSetting)
        }
        return settings
    }

    /// What is to be said is said by the commands.
    static let silent = Logger(label: "cloakroom.sessions") { _ in SwiftLogNoOpLogHandler() }
}

/// A command's end: one line on standard error, and an exit code.
struct Failure: Error {
    let line: String
    let code: ExitCode

    init(_ line: String, _ code: ExitCode = .failure) {
        self.line = line
        self.code = code
    }
}

extension AsyncParsableCommand {
    /// Says why it failed, and exits so.
    func failing<Value>(_ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch let failure as Failure {
            Console.complain("cloakroom: \(failure.line)")
            throw failure.code
        } catch is ClosedOutput {
            // Whoever read it has seen enough: as a shell shows a program that SIGPIPE has ended.
            throw ExitCode(141)
        }
    }
}
