import struct Foundation.Data
import class Foundation.JSONDecoder
import class Foundation.JSONEncoder

/// Names one kind of an app's own data in a session, and its type.
///
/// ```swift
/// enum CartKey: SessionAttributeKey {
///     typealias Value = [String: Int]
///     static let name = "cart"
/// }
/// ```
public protocol SessionAttributeKey {
    /// What is kept. It is stored as JSON, so a type that changes must still read what its former self wrote.
    associatedtype Value: Codable & Sendable
    /// The name in the stored record: 1 to 64 bytes.
    static var name: String { get }
}

/// The app's own data in a session: one JSON value for each name.
///
/// At most ``maximumSize`` bytes of JSON and ``maximumCount`` names. Its `description` and reflection show the number of
/// names alone.
public struct SessionAttributes: Sendable, Equatable {
    /// How many bytes of JSON all attributes of a session may have.
    public static let maximumSize = 65_536
    /// How many names there may be.
    public static let maximumCount = 128
    /// How many bytes a name may have.
    public static let nameSizes = 1...64
    /// How deep a value may be nested.
    public static let maximumDepth = JSONValue.maximumDepth - 2

    /// The values by their names.
    public private(set) var values: JSONObject
    /// What went wrong in a subscript, which can't throw; the store throws it instead of keeping anything.
    private var failure: SessionAttributesError?

    /// No attributes, or these.
    public init(_ values: JSONObject = [:]) { self.values = values }

    /// Whether there is none.
    public var isEmpty: Bool { values.isEmpty }

    /// The value of a key.
    ///
    /// Reading gives `nil` when there is none, and when what is there is of another type (``value(for:)`` tells the two
    /// apart). A value that can't be written as JSON makes the store refuse the whole update with
    /// ``SessionAttributesError``; `nil` removes the key.
    public subscript<Key: SessionAttributeKey>(_ key: Key.Type) -> Key.Value? {
        get { try? value(for: key) }
        set {
            do {
                try set(newValue, for: key)
            } catch {
                failure = failure ?? error
            }
        }
    }

    /// The value of a key, or `default`.
    public subscript<Key: SessionAttributeKey>(
        _ key: Key.Type, default value: @autoclosure () -> Key.Value
    ) -> Key.Value {
        get { self[key] ?? value() }
        set { self[key] = newValue }
    }

    /// The value of a key; `nil` when there is none.
    ///
    /// - Throws: ``SessionAttributesError`` when what is there is of another type.
    public func value<Key: SessionAttributeKey>(for key: Key.Type) throws(SessionAttributesError) -> Key.Value? {
        guard let value = values[Key.name] else { return nil }
        do {
            return try JSONDecoder().decode(Key.Value.self, from: Data(value.serialized))
        } catch {
            throw SessionAttributesError(.wrongType, "the attribute \(Key.name) is not a \(Key.Value.self)")
        }
    }

    /// Sets the value of a key; `nil` removes it.
    ///
    /// - Throws: ``SessionAttributesError`` when the value can't be written as JSON.
    public mutating func set<Key: SessionAttributeKey>(
        _ value: Key.Value?, for key: Key.Type
    ) throws(SessionAttributesError) {
        guard Self.nameSizes.contains(Key.name.utf8.count) else {
            throw SessionAttributesError(.invalidName, "an attribute's name has 1 to 64 bytes")
        }
        guard let value else {
            values[Key.name] = nil
            return
        }
        let json: JSONValue
        do {
            json = try JSONValue(parsing: Array(JSONEncoder().encode(value)))
        } catch {
            throw SessionAttributesError(.notEncodable, "the attribute \(Key.name) can't be written as JSON")
        }
        values[Key.name] = json
    }

    /// Whether they may be stored.
    ///
    /// - Throws: ``SessionAttributesError``
    public func check() throws(SessionAttributesError) {
        if let failure { throw failure }
        guard !values.isEmpty else { return }
        guard values.members.count <= Self.maximumCount else {
            throw SessionAttributesError(.tooLarge, "a session may have \(Self.maximumCount) attributes")
        }
        guard values.members.allSatisfy({ Self.nameSizes.contains($0.name.utf8.count) }) else {
            throw SessionAttributesError(.invalidName, "an attribute's name has 1 to 64 bytes")
        }
        guard Self.isWithinDepth(.object(values), Self.maximumDepth + 1) else {
            throw SessionAttributesError(.tooDeep, "an attribute may be nested \(Self.maximumDepth) levels deep")
        }
        let size = JSONValue.object(values).serialized.count
        guard size <= Self.maximumSize else {
            throw SessionAttributesError(
                .tooLarge, "a session's attributes may have \(Self.maximumSize) bytes, not \(size)")
        }
    }

    private static func isWithinDepth(_ value: JSONValue, _ levels: Int) -> Bool {
        switch value {
        case .array(let elements): levels > 0 && elements.allSatisfy { isWithinDepth($0, levels - 1) }
        case .object(let object): levels > 0 && object.members.allSatisfy { isWithinDepth($0.value, levels - 1) }
        default: true
        }
    }
}

extension SessionAttributes: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "SessionAttributes(\(values.members.count) names)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["names": values.members.count]) }
}

/// Why attributes can't be read or stored. It quotes no value.
public struct SessionAttributesError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The kinds of failure; more may come.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        public let description: String
        /// What is stored is of another type.
        public static let wrongType = Code(description: "wrong type")
        /// The value can't be written as JSON.
        public static let notEncodable = Code(description: "not encodable")
        /// More bytes or names than a session may have.
        public static let tooLarge = Code(description: "too large")
        /// Nested deeper than what can be read back.
        public static let tooDeep = Code(description: "too deep")
        /// A name that is empty or too long.
        public static let invalidName = Code(description: "invalid name")
    }

    /// The kind of failure.
    public let code: Code
    /// For people: what is wrong.
    public let reason: String

    init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    public var description: String { "session attributes: \(reason)" }
}
