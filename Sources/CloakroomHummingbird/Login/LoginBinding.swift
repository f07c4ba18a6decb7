import Cloakroom

/// What binds a login to the browser that began it: 256 random bits in a cookie of their own.
struct LoginBinding: Sendable, Equatable {
    let secret: String

    init() { secret = SessionID().secret }

    /// Takes the binding of a login that began in another tab, if it is one of ours by its form.
    init?(_ text: String) {
        guard text.utf8.count == 43, let bytes = Base64URL.decode(text), bytes.count == 32 else { return nil }
        secret = text
    }
}
