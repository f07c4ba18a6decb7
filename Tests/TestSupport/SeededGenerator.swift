import Foundation

/// Random numbers that can be had again: each generator prints its seed, and takes it from `CLOAKROOM_SEED` if that is set.
///
/// It is for random data and plans. How tasks race is up to the machine, whatever the seed.
package struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    /// Makes a generator.
    ///
    /// - Parameter test: whose it is, for the line that names the seed.
    package init(_ test: String = #function) {
        let given = ProcessInfo.processInfo.environment["CLOAKROOM_SEED"].flatMap { UInt64($0) }
        state = given ?? .random(in: .min ... .max)
        print("CLOAKROOM_SEED=\(state) (\(test))")
    }

    /// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
