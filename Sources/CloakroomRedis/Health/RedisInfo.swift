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

    /// The numbers of the databases that hold keys (`db0:keys=…`).
    var databases: [Int] {
        values.keys.compactMap { $0.hasPrefix("db") ? Int($0.dropFirst(2)) : nil }.sorted()
    }

    /// A replica as its primary lists it.
    struct Replica: Equatable {
        /// Whether it is connected and has all data but for the last writes.
        let isOnline: Bool
        /// How many bytes of the stream of writes it has; `nil` if the primary does not say.
        let offset: Int?
        /// How many seconds ago it last reported.
        let lag: Int?
    }

    /// The replicas that a primary lists (`slave0:ip=…,state=online,offset=…,lag=…`).
    var replicas: [Replica] {
        values.filter { name, _ in
            name.hasPrefix("slave") && name.count > 5 && name.dropFirst(5).allSatisfy(\.isNumber)
        }.sorted { $0.key < $1.key }.map { _, value in
            let fields = value.split(separator: ",").reduce(into: [:] as [Substring: Substring]) { fields, part in
                let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                if pair.count == 2 { fields[pair[0]] = pair[1] }
            }
            return Replica(
                isOnline: fields["state"] == "online", offset: fields["offset"].flatMap { Int($0) },
                lag: fields["lag"].flatMap { Int($0) })
        }
    }

    /// How many replicas are connected and up to date, of those that a primary lists.
    var onlineReplicas: Int? {
        guard number("connected_slaves") != nil else { return nil }
        return replicas.count { $0.isOnline }
    }
}
