/// A JSON value (RFC 8259) that is written back as it was read.
///
/// Numbers keep their digits as text and objects keep the order of their members, so that what another program stored
/// beside a session survives a refresh untouched.
public enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    /// A number, as the digits that were read. They are written back unchecked, so must be a number of RFC 8259 §6.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    /// The text, if this is a string.
    public var string: String? {
        if case .string(let text) = self { text } else { nil }
    }

    /// The number as an integer, if it is one; fractions are cut off, as other writers store whole seconds as `300.0`.
    public var integer: Int? {
        guard case .number(let digits) = self else { return nil }
        if let integer = Int(digits) { return integer }
        guard let number = Double(digits) else { return nil }
        return Int(exactly: number.rounded(.towardZero))
    }

    /// The number as a floating-point value, if it is one.
    public var double: Double? {
        if case .number(let digits) = self { Double(digits) } else { nil }
    }

    /// The truth value, if this is one.
    public var bool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    /// The elements, if this is an array.
    public var array: [JSONValue]? {
        if case .array(let elements) = self { elements } else { nil }
    }

    /// The members, if this is an object.
    public var object: JSONObject? {
        if case .object(let members) = self { members } else { nil }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int) { self = .number(String(value)) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSONValue)...) { self = .object(JSONObject(elements)) }
}

/// The members of a JSON object, in their order.
///
/// Objects here are small (claims, tokens), so look-up walks the members. Of two members with one name the last wins,
/// as in most readers (RFC 8259 §4 leaves it open).
public struct JSONObject: Sendable, Equatable, ExpressibleByDictionaryLiteral {
    /// One name and its value.
    public struct Member: Sendable, Equatable {
        /// The member's name.
        public var name: String
        /// The member's value.
        public var value: JSONValue
    }

    /// The members, in the order in which they were read or added.
    public private(set) var members: [Member] = []

    /// Makes an empty object.
    public init() {}

    /// Makes an object of these members, in this order.
    public init(_ members: some Sequence<(String, JSONValue)>) {
        for (name, value) in members { self[name] = value }
    }

    public init(dictionaryLiteral elements: (String, JSONValue)...) { self.init(elements) }

    /// Takes members whose names are known to differ.
    init(distinct members: [Member]) { self.members = members }

    /// The value of the named member; setting `nil` removes it.
    public subscript(name: String) -> JSONValue? {
        get { members.last { $0.name == name }?.value }
        set {
            let index = members.lastIndex { $0.name == name }
            switch (index, newValue) {
            case (let index?, let value?): members[index].value = value
            case (let index?, nil): members.remove(at: index)
            case (nil, let value?): members.append(Member(name: name, value: value))
            case (nil, nil): break
            }
        }
    }

    /// Whether there is no member.
    public var isEmpty: Bool { members.isEmpty }

    /// Two objects are equal when they hold the same members in any order.
    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.members.count == right.members.count && left.members.allSatisfy { right[$0.name] == $0.value }
    }
}
