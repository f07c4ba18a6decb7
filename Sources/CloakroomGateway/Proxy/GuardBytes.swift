import CloakroomHTTP
import CloakroomHTTP1

/// Tells requests of this app's own pages from those that another site made a browser send: what ``RequestGuard`` does with
/// text, on the path of every request.
struct GuardBytes: Sendable {
    private let origin: [UInt8]

    init(publicURL: PublicURL) { origin = Array(publicURL.origin.utf8) }

    /// Why a request may not be served.
    ///
    /// - Parameter needsField: whether the static field of API requests must be there.
    func refusal(of head: RequestHead, needsField: Bool) -> RequestGuard.Refusal? {
        var (fields, sites, origins) = (0, 0, 0)
        var (isFieldRight, isSiteRight, isOriginRight) = (false, false, false)
        head.fields.withBytes { bytes in
            for line in head.fields.lines {
                switch line.name.count {
                case 6:
                    if Octets.equal(bytes, line.name, lowercase: "x-csrf") {
                        fields += 1
                        isFieldRight = line.value.count == 1 && bytes[line.value.lowerBound] == UInt8(ascii: "1")
                    } else if Octets.equal(bytes, line.name, lowercase: "origin") {
                        origins += 1
                        isOriginRight = Octets.equal(bytes, line.value, origin)
                    }
                case 14 where Octets.equal(bytes, line.name, lowercase: "sec-fetch-site"):
                    sites += 1
                    isSiteRight =
                        Octets.equal(bytes, line.value, exactly: "same-origin")
                        || Octets.equal(bytes, line.value, exactly: "none")
                default: break
                }
            }
        }
        if sites > 1 || (sites == 1 && !isSiteRight) || origins > 1 || (origins == 1 && !isOriginRight) {
            return .crossSite
        }
        return needsField && !(fields == 1 && isFieldRight) ? .missingHeader : nil
    }
}
