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
    /// The same as `variants`, with names as HTTP/2 has them.
    private let pairs: [[(name: String, value: String)]]

    init(_ fields: SecurityFields, replicaName: String?) {
        let sets = [true, false].flatMap { needsReferrerPolicy in
            Policy.allCases.map { policy -> [HTTPField] in
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
                return all.filter { !given.contains($0) }
            }
        }
        variants = sets.map { Array($0.map { "\($0.name.rawName): \($0.value)\r\n" }.joined().utf8) }
        pairs = sets.map { $0.map { ($0.name.canonicalName, $0.value) } }
    }

    /// The fields for a response that lacks these.
    @inline(__always)
    func bytes(_ missing: Missing) -> [UInt8] { variants[index(missing)] }

    /// The fields for a response that lacks these, with names in lower case.
    func fields(_ missing: Missing) -> [(name: String, value: String)] { pairs[index(missing)] }

    private func index(_ missing: Missing) -> Int {
        (missing.referrerPolicy ? 0 : Policy.allCases.count) + missing.policy.rawValue
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
