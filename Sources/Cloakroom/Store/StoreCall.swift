/// Runs a call to a store whose errors may be of any type, so that the rest sees ``SessionStoreError`` alone. The original
/// of a foreign error is not shown to anyone: it may hold anything.
package func storeCall<Value>(_ call: () async throws -> Value) async throws -> Value {
    do {
        return try await call()
    } catch let error as SessionStoreError {
        throw error
    } catch is CancellationError {
        throw CancellationError()
    } catch {
        throw SessionStoreError(.unavailable, reason: "the store failed with \(type(of: error))")
    }
}
