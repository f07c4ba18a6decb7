#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension Date {
    /// The time as JWTs write it: whole seconds since 1970.
    var epochSeconds: Int { Int(timeIntervalSince1970.rounded(.down)) }

    func adding(_ duration: Duration) -> Date {
        let parts = duration.components
        return addingTimeInterval(Double(parts.seconds) + Double(parts.attoseconds) / 1e18)
    }
}
