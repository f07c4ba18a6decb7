import Cloakroom
import CloakroomRedis

import struct Foundation.Date

/// What a file holds, as its first line tells.
enum ImportForm: Sendable, Equatable {
    case ours(SessionFile.Head)
    /// Keys of another program, one a line.
    case foreign

    /// Reads the first line. Of another program's it is read again, as one of its keys.
    ///
    /// - Throws: a ``Failure`` for a file that is none.
    init(firstLineOf lines: LineReader) throws {
        let what = "line 1: this is neither an export of cloakroom sessions nor a list of another program's keys"
        guard let line = try lines.next(isPatient: false) else { throw Failure("the file is empty") }
        guard case .text(let bytes) = line else {
            throw Failure("\(what): it is longer than \(SessionFile.longestLine) bytes")
        }
        let object: JSONObject
        do {
            object = try SessionFile.object(bytes)
        } catch let failure as Failure {
            throw Failure("\(what): \(failure.line)")
        }
        if object["cloakroom_sessions"] != nil, case .head(let head) = try SessionFile.read(bytes) {
            guard head.version == SessionFile.version else {
                throw Failure("the file is of version \(head.version), and this program reads \(SessionFile.version)")
            }
            self = .ours(head)
        } else if object["key"] != nil {
            self = .foreign
            lines.putBack(bytes)
        } else {
            throw Failure(what)
        }
    }

    /// Whether a file that is whole has a last line that says so.
    var hasEnd: Bool { if case .ours = self { true } else { false } }

    var defaultIssuer: String? { if case .ours(let head) = self { head.defaultIssuer } else { nil } }
}

/// Lines of a file that are worked on together.
struct ImportLot: Sendable {
    /// The number of the first one.
    let first: Int
    var lines: [(number: Int, line: LineReader.Line)] = []
}

/// A file, a lot of lines at a time.
struct ImportSource {
    /// So many bytes of lines end a lot, however few they are.
    private static let lotBytes = 16 << 20

    let lines: LineReader
    /// In bytes; `nil` if nobody knows.
    let size: Int?
    let form: ImportForm

    /// How much of the file was read.
    var share: Double? { size.flatMap { $0 > 0 ? Double(lines.bytes) / Double($0) : nil } }

    /// - Parameters:
    ///   - count: how many lines at most.
    ///   - first: the lines before this one are passed over.
    /// - Returns: `nil` at the end.
    func next(_ count: Int, from first: Int) throws -> ImportLot? {
        var lot: ImportLot?
        var bytes = 0
        while (lot?.lines.count ?? 0) < count, bytes < Self.lotBytes, let line = try lines.next() {
            if lines.number < first { continue }
            if case .text(let text) = line {
                // The last line may be empty.
                if text.isEmpty { continue }
                bytes += text.count
            }
            var current = lot ?? ImportLot(first: lines.number)
            current.lines.append((lines.number, line))
            lot = current
        }
        return lot
    }
}

/// Puts the sessions of lines into a store.
struct SessionTaker: Sendable {
    /// How many sessions of other programs are stored at once: each takes a few round trips.
    private static let width = 32

    let store: RedisSessionStore
    let form: ImportForm
    /// How long a session may live at most.
    let lifetime: Duration
    /// Whether nothing is to be stored.
    let isTrial: Bool

    /// A line that begins or ends an export.
    struct Mark: Sendable {
        let line: Int
        let isEnd: Bool
    }

    /// - Returns: what became of the lines, and the last mark among them.
    /// - Throws: ``SessionStoreError`` when the store could not confirm it.
    func take(_ lot: ImportLot) async throws -> (ImportTally, Mark?) {
        switch form {
        case .ours(let head): try await takeOurs(lot, head)
        case .foreign: (try await takeForeign(lot), nil)
        }
    }

    private func takeOurs(_ lot: ImportLot, _ head: SessionFile.Head) async throws -> (ImportTally, Mark?) {
        var tally = ImportTally()
        var mark: Mark?
        var sessions: [StoredSession] = []
        var numbers: [Int] = []
        for (number, line) in lot.lines {
            do {
                switch try SessionFile.read(Self.text(line)) {
                case .end: mark = Mark(line: number, isEnd: true)
                // That of an export that was appended to this one.
                case .head: mark = Mark(line: number, isEnd: false)
                case .session(let session):
                    if session.name.isSealed, head.keyPrefix != store.sessionKeyPrefix {
                        tally.addSkipped("sealed under another REDIS_KEY_PREFIX")
                    } else {
                        sessions.append(session)
                        numbers.append(number)
                    }
                }
            } catch let failure as Failure {
                tally.addBad(failure.line, line: number)
            }
        }
        let outcomes = try await store.take(sessions, isTrial: isTrial)
        for (number, outcome) in zip(numbers, outcomes) { tally.add(outcome, line: number) }
        return (tally, mark)
    }

    private static func text(_ line: LineReader.Line) throws -> [UInt8] {
        guard case .text(let bytes) = line else { throw Failure("it is longer than \(SessionFile.longestLine) bytes") }
        return bytes
    }

    // MARK: Other programs'

    private func takeForeign(_ lot: ImportLot) async throws -> ImportTally {
        var tally = ImportTally()
        var found: [(number: Int, foreign: ForeignSession)] = []
        for (number, line) in lot.lines {
            do {
                let entry = try ForeignEntry(SessionFile.object(Self.text(line)))
                found.append((number, try entry.session(at: .now, lifetime: lifetime)))
            } catch let skip as ForeignEntry.Skip {
                tally.addSkipped(skip.reason)
            } catch let failure as Failure {
                tally.addBad(failure.line, line: number)
            }
        }
        var rest = found[...]
        while !rest.isEmpty {
            let outcomes = try await withThrowingTaskGroup(of: (Int, StoredSessionOutcome).self) { group in
                for (number, foreign) in rest.prefix(Self.width) {
                    group.addTask { (number, try await take(foreign)) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            for (number, outcome) in outcomes { tally.add(outcome, line: number) }
            rest = rest.dropFirst(Self.width)
        }
        return tally
    }

    private func take(_ foreign: ForeignSession) async throws -> StoredSessionOutcome {
        if foreign.session.isExpired(at: .now) { return .isOver }
        if isTrial { return .stored }
        do {
            return try await store.insertSession(foreign.session, for: foreign.id) ? .stored : .alreadyThere
        } catch let error as SessionStoreError where error.code == .tooLarge {
            return .refused(reason: error.reason)
        }
    }
}
