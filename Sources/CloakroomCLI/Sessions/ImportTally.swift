import Cloakroom
import CloakroomGateway
import CloakroomRedis

/// What became of the lines of a file.
struct ImportTally: Sendable {
    private(set) var imported = 0
    private(set) var alreadyThere = 0
    /// Ended in the store that they were to go to.
    private(set) var wasEnded = 0
    /// Their time was over.
    private(set) var isOver = 0
    private(set) var unlisted = 0
    /// How many were passed over, by why.
    private(set) var skipped: [String: Int] = [:]
    /// What was said of single lines.
    private(set) var notes: [String] = []
    /// How many lines could not be read, and so were lost.
    private(set) var bad = 0

    /// How many lines are named one by one.
    private static let maximumNotes = 10
    /// How many reasons are told apart: some quote what was there.
    private static let maximumReasons = 50

    var read: Int { imported + alreadyThere + wasEnded + isOver + skippedCount }
    var skippedCount: Int { skipped.values.reduce(0, +) }

    mutating func add(_ outcome: StoredSessionOutcome, line: Int) {
        switch outcome {
        case .stored: imported += 1
        case .storedUnlisted:
            imported += 1
            unlisted += 1
        case .alreadyThere: alreadyThere += 1
        case .wasEnded: wasEnded += 1
        case .isOver: isOver += 1
        case .refused(let reason): addBad(reason, line: line)
        }
    }

    /// A line that holds no session on purpose, or one of a form that is not read.
    mutating func addSkipped(_ reason: String) {
        let known = skipped[reason] != nil || skipped.count < Self.maximumReasons
        skipped[known ? reason : "other reasons", default: 0] += 1
    }

    /// A line that should hold a session and does not.
    mutating func addBad(_ reason: String, line: Int) {
        bad += 1
        if notes.count < Self.maximumNotes {
            notes.append("line \(line) was skipped: \(LineLogHandler.visible(reason))")
        } else if notes.count == Self.maximumNotes {
            notes.append("further lines that are skipped are not named")
        }
    }

    mutating func add(_ other: ImportTally) {
        imported += other.imported
        alreadyThere += other.alreadyThere
        wasEnded += other.wasEnded
        isOver += other.isOver
        unlisted += other.unlisted
        bad += other.bad
        for (reason, count) in other.skipped {
            let known = skipped[reason] != nil || skipped.count < Self.maximumReasons
            skipped[known ? reason : "other reasons", default: 0] += count
        }
        let room = Self.maximumNotes + 1 - notes.count
        notes += other.notes.prefix(max(0, room))
    }

    var object: JSONObject {
        [
            "imported": .number("\(imported)"), "already_there": .number("\(alreadyThere)"),
            "was_ended": .number("\(wasEnded)"), "ended": .number("\(isOver)"), "unlisted": .number("\(unlisted)"),
            "skipped_lines": .number("\(bad)"),
            "skipped": .object(
                JSONObject(skipped.sorted { $0.key < $1.key }.map { ($0.key, JSONValue.number("\($0.value)")) })),
        ]
    }

    /// For people, the first line on its own.
    func text(isTrial: Bool) -> [String] {
        var counts = ["\(isTrial ? "Would import" : "Imported") \(imported)"]
        for (count, what) in [
            (alreadyThere, "were there"), (wasEnded, "were ended here"), (isOver, "had ended by now"),
            (skippedCount, "were passed over"), (bad, "could not be read"),
        ] where count > 0 {
            counts.append("\(count) \(what)")
        }
        var lines = [counts.joined(separator: "; ") + "."]
        lines += skipped.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map {
            "  passed over: \($0.value), \(LineLogHandler.visible($0.key))"
        }
        if unlisted > 0 {
            lines.append(
                "  \(unlisted) can't be read here, so they are in no user's list: give the SESSION_KEYS that sealed them"
            )
        }
        return lines
    }
}
