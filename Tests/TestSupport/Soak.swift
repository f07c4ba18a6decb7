import Foundation

/// Tests of some kinds show more the longer they run. `scripts/soak` has them run long; elsewhere they are shorter.
package enum Soak {
    /// Whether this is a long run (`CLOAKROOM_LONG`).
    package static let isOn = ProcessInfo.processInfo.environment["CLOAKROOM_LONG"] != nil

    /// How often to do something: so often in a long run, else a part of it.
    package static func rounds(_ long: Int, else short: Int) -> Int { isOn ? long : short }
}
