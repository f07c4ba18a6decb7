/// The browser that a session began in, as the server saw it: for lists in which a user recognises a device. Not proof of
/// anything, as a client chooses what it says of itself.
///
/// Its `description` and reflection show nothing of it.
public struct SessionClient: Sendable, Equatable {
    /// The longest user agent that is kept, in bytes.
    public static let maximumUserAgentSize = 512
    /// The longest address that is kept, in bytes.
    public static let maximumAddressSize = 64

    /// What the client calls itself (`User-Agent`), cut to ``maximumUserAgentSize``.
    public let userAgent: String?
    /// Where its connection came from, cut to ``maximumAddressSize``.
    public let address: String?

    /// Describes a client. What is too long is cut.
    public init(userAgent: String? = nil, address: String? = nil) {
        self.userAgent = userAgent.map { Self.cut($0, to: Self.maximumUserAgentSize) }
        self.address = address.map { Self.cut($0, to: Self.maximumAddressSize) }
    }

    private static func cut(_ text: String, to size: Int) -> String {
        guard text.utf8.count > size else { return text }
        var size = size
        // Not within a scalar.
        while size > 0, text.utf8[text.utf8.index(text.utf8.startIndex, offsetBy: size)] & 0xC0 == 0x80 { size -= 1 }
        return String(decoding: text.utf8.prefix(size), as: UTF8.self)
    }
}

extension SessionClient: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "SessionClient(redacted)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension SessionClient {
    /// The stored form: `{"user_agent", "address"}`.
    var object: JSONObject {
        var object = JSONObject()
        object["user_agent"] = userAgent.map { .string($0) }
        object["address"] = address.map { .string($0) }
        return object
    }

    /// Whether an object is nothing but a client as we write it, so that nothing is lost when it is written again.
    static func isOurs(_ object: JSONObject) -> Bool {
        !object.isEmpty
            && object.members.allSatisfy { member in
                guard let text = member.value.string else { return false }
                return switch member.name {
                case "user_agent": text.utf8.count <= maximumUserAgentSize
                case "address": text.utf8.count <= maximumAddressSize
                default: false
                }
            }
    }

    init(_ object: JSONObject) {
        self.init(userAgent: object["user_agent"]?.string, address: object["address"]?.string)
    }
}
