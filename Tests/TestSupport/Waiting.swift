/// Why a test can't go on.
package struct Failure: Error, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

/// Waits until a condition holds.
///
/// - Throws: ``Failure`` once the limit is over.
package func eventually(
    _ what: String, within limit: Duration = .seconds(30), _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < end else { throw Failure("not within \(limit): \(what)") }
        try await Task.sleep(for: .milliseconds(10))
    }
}
