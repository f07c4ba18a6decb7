import Foundation
import Synchronization
import Testing

/// Where the server finds its provider, which is made once the port is known.
final class ProviderSlot: Sendable {
    private let held = Mutex<ScriptedProvider?>(nil)

    var provider: ScriptedProvider? {
        get { held.withLock { $0 } }
        set { held.withLock { $0 = newValue } }
    }
}

/// The decoded query parameters of a URL; a repeated one fails the test.
func parameters(of url: String) throws -> [String: String] {
    let items = try #require(URLComponents(string: url)?.queryItems)
    var result: [String: String] = [:]
    for item in items {
        #expect(result[item.name] == nil, "\(item.name) stands there twice")
        result[item.name] = item.value ?? ""
    }
    return result
}

/// The fields of a form; enough for what the relying party sends.
func decodeForm(_ text: String) -> [String: String] {
    var result: [String: String] = [:]
    for pair in text.split(separator: "&") {
        let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let name = String(parts[0]).removingPercentEncoding,
            let value = String(parts[1]).removingPercentEncoding
        else { continue }
        result[name] = value
    }
    return result
}

/// A value that concurrent parts of a test change.
final class Shared<Value: Sendable>: Sendable {
    private let value: Mutex<Value>

    init(_ value: Value) { self.value = Mutex(value) }

    func withLock<Result: Sendable>(_ body: (inout Value) -> Result) -> Result { value.withLock { body(&$0) } }
}
