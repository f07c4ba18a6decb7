/// The answer to `INFO` or `CLUSTER INFO`: lines `name:value`.
struct RedisInfo: Sendable, Equatable {
    private let values: [Substring: Substring]

    init(_ text: String) {
        var values: [Substring: Substring] = [:]
        // A line ends with CR LF, which is one Character.
        for line in text.split(whereSeparator: \.isNewline) where line.first != "#" {
            guard let colon = line.firstIndex(of: ":") else { continue }
            values[line[..<colon]] = line[line.index(after: colon)...]
        }
        self.values = values
    }

    subscript(name: String) -> String? { values[name[...]].map(String.init) }

    func number(_ name: String) -> Int? { self[name].flatMap(Int.init) }

    /// How many replicas are connected and up to date, of those that a primary lists.
    var onlineReplicas: Int? {
        guard number("connected_slaves") != nil else { return nil }
        return values.filter { name, value in
            name.hasPrefix("slave") && name.dropFirst(5).allSatisfy(\.isNumber) && value.contains("state=online")
        }.count
    }
}
