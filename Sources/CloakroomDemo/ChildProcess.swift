import CloakroomGateway
import Logging
import ServiceLifecycle
import Subprocess
import Synchronization

#if canImport(System)
import System
#else
import SystemPackage
#endif

/// A program that the demo keeps running: started again when it ends, and ended with the demo.
///
/// It gets a process group of its own, so that Ctrl-C in the terminal reaches the demo alone, which then ends its
/// children in order.
final class ChildProcess: Service {
    struct Command: Sendable {
        let name: String
        let executable: String
        var arguments: [String] = []
        /// The whole environment; where secrets travel, since arguments are public on a machine.
        var environment: [String: String] = [:]
        var directory: String?
    }

    // How long a child may take to end by itself before it is killed.
    private static let patience = Duration.seconds(5)
    private static let restartPauses: [Duration] = [.milliseconds(200), .seconds(1), .seconds(3), .seconds(10)]
    // A child that lived this long was well; its next end is not one of a row.
    private static let goodLife = Duration.seconds(20)

    let command: Command
    private let say: @Sendable (String) -> Void
    private let currentPID = Mutex<Int32?>(nil)

    init(_ command: Command, say: @escaping @Sendable (String) -> Void = Console.say) {
        self.command = command
        self.say = say
    }

    /// The process that runs now.
    var pid: Int32? { currentPID.withLock { $0 } }

    func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            var failures = 0
            while !Task.isCancelled {
                let start = ContinuousClock.now
                let end = await runOnce(isRestart: failures > 0)
                currentPID.withLock { $0 = nil }
                guard !Task.isCancelled else { return }
                failures = ContinuousClock.now - start > Self.goodLife ? 1 : failures + 1
                say("\(command.name) \(end) and is to be started again.")
                let pause = Self.restartPauses[min(failures, Self.restartPauses.count) - 1]
                guard (try? await Task.sleep(for: pause)) != nil else { return }
            }
        }
    }

    /// Runs the program to its end, or ends it when this task is cancelled.
    ///
    /// - Returns: how it ended, for people.
    private func runOnce(isRestart: Bool) async -> String {
        var options = PlatformOptions()
        options.processGroupID = 0
        options.teardownSequence = [.gracefulShutDown(allowedDurationToNextStep: Self.patience)]
        var environment: [Environment.Key: String] = [:]
        for (name, value) in command.environment {
            if let key = Environment.Key(rawValue: name) {
                environment[key] = value
            }
        }
        do {
            let result = try await Subprocess.run(
                .path(FilePath(command.executable)), arguments: Arguments(command.arguments),
                environment: .custom(environment), workingDirectory: command.directory.map { FilePath($0) },
                platformOptions: options, input: .none, output: .sequence, error: .combinedWithOutput
            ) { execution in
                let pid = execution.processIdentifier.value
                currentPID.withLock { $0 = pid }
                if isRestart {
                    say("\(command.name) runs again, PID \(pid).")
                }
                for try await line in execution.standardOutput.strings() {
                    say("[\(command.name)] \(line)")
                }
            }
            switch result.terminationStatus {
            case .exited(let code): return "ended with code \(code)"
            case .signaled(let signal): return "was ended by signal \(signal)"
            }
        } catch {
            return "could not be run (\(error))"
        }
    }
}

/// Children that are ended together rather than one after the other.
struct ChildProcessGroup: Service {
    let children: [ChildProcess]

    func run() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            for child in children {
                group.addTask { try await child.run() }
            }
        }
    }
}
