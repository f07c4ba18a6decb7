/// An error that Redis answered.
///
/// Its `description` shows the code and what it means, never the server's message: that may quote the arguments of the
/// command, and so a secret.
public struct RedisServerError: Error, Sendable, Equatable {
    /// What an error means to us.
    package enum Kind: Sendable, Equatable {
        case authenticationRequired, wrongCredentials, notPermitted
        case loading, readOnly, outOfMemory, misconfigured, notEnoughReplicas, primaryDown
        case scriptUnknown, scriptBusy, wrongType
        case moved, ask, tryAgain, clusterDown
        case tooManyClients, connectionDenied
        case unknownCommand
        /// `EXECABORT` after an error of a command of the transaction: nothing of it was carried out.
        case transactionAborted
        /// `ERR`, with words for people only: mostly of a command's form.
        case unspecified
        case other
    }

    /// The code; of a redirection, which quotes no argument, the whole answer. One string, as every reply has the size of
    /// the largest kind of reply.
    private let text: String
    /// What it means.
    package let kind: Kind

    /// The first word of the answer, such as `NOAUTH`; 32 characters at most.
    public var code: String { String(text.prefix { $0 != " " }) }

    /// Where a cluster's node says that the key is, if it says so.
    var redirection: ClusterRedirection? {
        kind == .moved || kind == .ask ? ClusterRedirection(message: text) : nil
    }

    /// Longer than any slot, host name and port.
    private static let maximumRedirectionLength = 320

    init(message: String) {
        let word = message.prefix { $0 != " " }
        let isCode = word.utf8.count <= 32 && word.utf8.allSatisfy { (0x41...0x5A).contains($0) || $0 == 0x5F }
        var code = isCode && !word.isEmpty ? String(word) : "ERR"
        if code == "ERR", let inner = Self.codeWithinScript(message) { code = inner }
        let kind = Self.kind(of: code, message: message)
        let isRedirection = kind == .moved || kind == .ask
        self.kind = kind
        self.text = isRedirection && message.utf8.count <= Self.maximumRedirectionLength ? message : code
    }

    /// The code of what went wrong inside a script, where the server only says that the script failed: for all errors
    /// before Redis 7, and for missing permissions ever since.
    private static func codeWithinScript(_ message: String) -> String? {
        guard message.contains("script") else { return nil }
        if message.contains("ACL failure in script") || message.hasPrefix("ERR The user executing the script can't") {
            return "NOPERM"
        }
        let known = ["OOM", "READONLY", "MISCONF", "NOREPLICAS", "LOADING", "WRONGTYPE"]
        return known.first { message.contains(" -\($0) ") }
    }

    private static func kind(of code: String, message: String) -> Kind {
        switch code {
        case "NOAUTH": .authenticationRequired
        case "WRONGPASS": .wrongCredentials
        case "NOPERM": .notPermitted
        case "LOADING": .loading
        case "READONLY": .readOnly
        case "OOM": .outOfMemory
        case "MISCONF": .misconfigured
        case "NOREPLICAS": .notEnoughReplicas
        case "MASTERDOWN": .primaryDown
        case "NOSCRIPT": .scriptUnknown
        case "BUSY": .scriptBusy
        case "WRONGTYPE": .wrongType
        case "MOVED": .moved
        case "ASK": .ask
        case "TRYAGAIN": .tryAgain
        case "CLUSTERDOWN": .clusterDown
        case "NOPROTO": .unknownCommand
        case "DENIED": .connectionDenied
        case "EXECABORT": kindOfAbort(message)
        default:
            if message.hasPrefix("ERR unknown command") {
                .unknownCommand
            } else if message.hasPrefix("ERR Error running script"), message.contains(" -READONLY ") {
                // So Redis 6.2 reports what stopped a script.
                .readOnly
            } else {
                message.hasPrefix("ERR max number of clients") ? .tooManyClients : code == "ERR" ? .unspecified : .other
            }
        }
    }

    /// What `EXEC` itself was refused for, as in `EXECABORT Transaction discarded because of: READONLY …`.
    private static func kindOfAbort(_ message: String) -> Kind {
        guard let cause = message.firstRange(of: "because of: ") else { return .transactionAborted }
        let code = message[cause.upperBound...].prefix { $0 != " " }
        let kind = code == "EXECABORT" ? .other : kind(of: String(code), message: "")
        return kind == .other ? .transactionAborted : kind
    }
}

extension RedisServerError: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The code and its meaning.
    public var description: String { "Redis answered \(code) (\(meaning))" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["code": code]) }

    private var meaning: String {
        switch kind {
        case .authenticationRequired: "it asks for a password and none was given"
        case .wrongCredentials: "wrong user name or password"
        case .notPermitted: "the user may not do this"
        case .loading: "it is still loading its data"
        case .readOnly: "it is a read-only replica"
        case .outOfMemory: "its memory is full"
        case .misconfigured: "it can't write to its disk"
        case .notEnoughReplicas: "too few replicas are connected"
        case .primaryDown: "its primary is down"
        case .scriptUnknown: "it does not know the script"
        case .scriptBusy: "it is busy with a script"
        case .wrongType: "the key holds another type"
        case .moved, .ask: "the key is on another node of the cluster"
        case .tryAgain: "the slot is being moved"
        case .clusterDown: "the cluster is down"
        case .tooManyClients: "it has as many connections as it takes (maxclients)"
        case .connectionDenied: "it takes connections of its own machine only (protected-mode), until a password is set"
        case .unknownCommand: "it does not know the command; Redis 6.2 or newer is needed"
        case .transactionAborted: "the transaction was not carried out"
        case .unspecified, .other: "an error"
        }
    }
}
