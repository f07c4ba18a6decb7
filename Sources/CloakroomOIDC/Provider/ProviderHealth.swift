/// How well a provider and this client's registration there fit together, point by point.
package struct ProviderHealth: Sendable, Equatable {
    /// How a point stands.
    package enum Status: String, Sendable {
        case ok, warn, fail, unknown
    }

    /// One point. Holds no secret, and nothing that the provider sent beyond short codes and its issuer.
    package struct Item: Sendable, Equatable {
        /// What was looked at; a stable word such as `discovery`.
        package let name: String
        /// How it stands.
        package let status: Status
        /// What was found.
        package let detail: String
        /// What to do about it; `nil` when there is nothing to do.
        package let remedy: String?

        init(_ name: String, _ status: Status, _ detail: String, remedy: String? = nil) {
            self.name = name
            self.status = status
            self.detail = detail
            self.remedy = remedy
        }
    }

    /// The points, always the same ones in the same order.
    package let items: [Item]

    /// The point of this name.
    package subscript(name: String) -> Item? { items.first { $0.name == name } }
}
