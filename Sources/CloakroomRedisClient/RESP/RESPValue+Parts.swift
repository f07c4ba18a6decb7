import NIOCore

/// What is in a reply, where it has the form that is asked for.
extension RESPValue {
    /// The number of a reply that is one.
    package var integer: Int? {
        if case .number(let number) = self { Int(exactly: number) } else { nil }
    }

    /// A number, also one that is written as a string, as sentinels and nodes of a cluster do.
    var integerOrDigits: Int? { integer ?? shortText.flatMap { Int($0) } }

    /// The bytes of a string as text.
    package var text: String? {
        switch self {
        case .bulk(let buffer): String(buffer: buffer)
        case .simpleString(let text): text
        default: nil
        }
    }

    /// The text of a string, simple or not, that is at most 512 bytes long and UTF-8.
    var shortText: String? {
        switch self {
        case .simpleString(let text): text.utf8.count <= 512 ? text : nil
        case .bulk(let bytes):
            bytes.readableBytes <= 512 ? String(validating: bytes.readableBytesView, as: UTF8.self) : nil
        default: nil
        }
    }

    /// The elements of an array or a set.
    package var elements: [RESPValue]? {
        switch self {
        case .array(let elements), .set(let elements): elements
        default: nil
        }
    }

    /// What a map holds under this name; also of a map in the form of RESP2, an array of names and values in turn.
    func field(_ name: String) -> RESPValue? {
        let pairs: [RESPValue]
        switch self {
        case .map(let elements), .array(let elements): pairs = elements
        default: return nil
        }
        return stride(from: 0, to: pairs.count - 1, by: 2).first { pairs[$0].shortText == name }.map { pairs[$0 + 1] }
    }
}
