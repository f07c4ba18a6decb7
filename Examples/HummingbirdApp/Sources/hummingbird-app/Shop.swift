import Cloakroom
import Foundation

/// What there is to buy.
enum Shop {
    struct Item {
        let id: String
        let name: String
        let price: Int
    }

    static let items = [
        Item(id: "coat", name: "Winter coat", price: 120), Item(id: "hat", name: "Felt hat", price: 35),
        Item(id: "scarf", name: "Wool scarf", price: 25), Item(id: "gloves", name: "Gloves", price: 18),
    ]
    /// How many of one thing a cart holds.
    static let most = 9
}

/// The cart is data of the session: it is on every replica, and ends with the session.
enum CartKey: SessionAttributeKey {
    typealias Value = [String: Int]
    static let name = "cart"
}

extension SessionAttributes {
    var cart: [String: Int] { self[CartKey.self] ?? [:] }

    /// Puts one more into the cart. Two requests at once, on two replicas, put in two.
    mutating func put(_ item: Shop.Item) {
        self[CartKey.self, default: [:]][item.id, default: 0] = min(Shop.most, cart[item.id, default: 0] + 1)
    }
}

/// What was bought. It is kept beyond the session, so it is in the key/value store.
struct Receipt: Codable {
    /// Who may see it.
    let owner: String
    let items: [String: Int]

    static let lifetime = Duration.seconds(3600)
    static func key(_ id: String) -> String { "receipt-\(id)" }

    var total: Int { Shop.items.reduce(0) { $0 + $1.price * items[$1.id, default: 0] } }
}

extension UserInfo {
    var nameForPeople: String { name ?? preferredUsername ?? "you" }
}
