/// What a call returns; `nil` when it takes too long, and then it is cancelled.
package func valueInTime<Value: Sendable>(
    _ deadline: Duration, _ body: @escaping @Sendable () async -> Value
) async -> Value? {
    await withTaskGroup(of: Value?.self) { group in
        group.addTask { await body() }
        group.addTask {
            try? await Task.sleep(for: deadline)
            return nil
        }
        let result = await group.next() ?? nil
        group.cancelAll()
        return result
    }
}
