import CloakroomHTTP
import CloakroomHTTP1
import HTTPTypes
import NIOCore

/// The fields that every response gets, as bytes: those of ``SecurityFields`` and the replica's name.
///
/// They are made once from what ``SecurityFields`` says for each kind of response.
struct SecurityFieldBytes: Sendable {
    /// Which of the fields a response does not have of its own.
    struct Missing: Sendable {
        var referrerPolicy = true
        fileprivate var policy = Policy.none

        /// Notes a `Content-Security-Policy` of the response's own.
        mutating func note(policy bytes: UnsafeRawBufferPointer, _ value: Range<Int>) {
            guard policy != .withAncestors else { return }
            policy =
                Self.ancestors.isFound(in: UnsafeRawBufferPointer(rebasing: bytes[value])) ? .withAncestors : .other
        }

        /// Notes a field of the response's own.
        mutating func note(_ field: HTTPField) {
            switch field.name {
            case .referrerPolicy: referrerPolicy = false
            case .contentSecurityPolicy:
                guard policy != .withAncestors else { return }
                policy = field.value.contains("frame-ancestors") ? .withAncestors : .other
            default: break
            }
        }

        private static let ancestors = Array("frame-ancestors".utf8)
    }

    fileprivate enum Policy: Int, CaseIterable {
        case none, other, withAncestors
    }

    private let variants: [[UInt8]]

    init(_ fields: SecurityFields, replicaName: String?) {
        variants = [true, false].flatMap { needsReferrerPolicy in
            Policy.allCases.map { policy in
                var given = HTTPFields()
                if !needsReferrerPolicy { given[.referrerPolicy] = "given" }
                switch policy {
                case .none: break
                case .other: given[.contentSecurityPolicy] = "given"
                case .withAncestors: given[.contentSecurityPolicy] = "frame-ancestors given"
                }
                var all = given
                fields.add(to: &all)
                if let replicaName { all[.cloakroomReplica] = replicaName }
                let lines = all.filter { !given.contains($0) }.map { "\($0.name.rawName): \($0.value)\r\n" }
                return Array(lines.joined().utf8)
            }
        }
    }

    /// The fields for a response that lacks these.
    @inline(__always)
    func bytes(_ missing: Missing) -> [UInt8] {
        variants[(missing.referrerPolicy ? 0 : Policy.allCases.count) + missing.policy.rawValue]
    }
}

extension [UInt8] {
    fileprivate func isFound(in bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count >= count else { return false }
        return (0...bytes.count - count).contains { bytes[$0..<$0 + count].elementsEqual(self) }
    }
}

extension HTTPField.Name {
    static var cloakroomReplica: Self { .known("X-Cloakroom-Replica") }
}
