/// Why the demo can't run, told to the person at the terminal.
struct DemoProblem: Error, CustomStringConvertible {
    let description: String
    /// `EX_UNAVAILABLE` of sysexits: something that is needed isn't there.
    var exitCode: Int32 = 69
}
