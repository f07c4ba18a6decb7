import Cloakroom
import CloakroomHTTP
import Foundation
import HTTPTypes
import Hummingbird

/// The pages. Every text from outside goes through ``escape(_:)``.
enum Pages {
    static func landing(_ paths: AuthPaths) -> Response {
        .page(
            document(
                "Hat & Coat", user: nil, paths,
                """
                <section class="card welcome">
                <h1>Coats, hats and warm hands</h1>
                <p>Log in to fill your cart. It is on every server, and stays yours until you log out.</p>
                <p><a class="button" href="\(paths[.login])">Log in</a></p>
                </section>
                """))
    }

    static func shop(_ user: UserInfo, _ cart: [String: Int], _ paths: AuthPaths) -> Response {
        let items = Shop.items.map { item in
            """
            <li class="card"><h2>\(escape(item.name))</h2><p class="price">€ \(item.price)</p>
            <form method="post" action="/cart/\(item.id)"><button class="button" data-item="\(item.id)">\
            Add \(escape(item.name.lowercased()))</button></form></li>
            """
        }
        return .page(
            document(
                "Shop", user: user, paths,
                """
                <h1>Hello, \(escape(user.nameForPeople))</h1>
                <ul class="items">\(items.joined())</ul>
                <section class="card" aria-live="polite"><h2>Your cart</h2><div id="cart">\(list(cart))</div>
                <div class="actions"><form method="post" action="/receipts"><button class="button">Buy</button></form>
                <form method="post" action="/cart"><button class="button quiet">Empty the cart</button></form></div>
                </section>
                <script type="module" src="/shop.js"></script>
                """))
    }

    static func receipt(_ receipt: Receipt, _ user: UserInfo, _ paths: AuthPaths) -> Response {
        .page(
            document(
                "Receipt", user: user, paths,
                """
                <section class="card"><h1>Thank you, \(escape(user.nameForPeople))</h1>\(list(receipt.items))
                <p class="price">€ \(receipt.total)</p><p><a class="button quiet" href="/">Back to the shop</a></p></section>
                """))
    }

    /// Errors and the list of the user's sessions, in the shop's own look.
    struct Own: ErrorPageRenderer {
        func html(for page: ErrorPage) -> String {
            let action = page.action.map { action in
                let (path, label) = (escape(action.path), escape(action.label))
                return action.isForm
                    ? form(action.path, label) : "<p><a class=\"button\" href=\"\(path)\">\(label)</a></p>"
            }
            return document(
                page.title, user: nil, nil,
                """
                <section class="card"><h1>\(escape(page.title))</h1><p>\(escape(page.message))</p>\(action ?? "")
                <p class="fine">Request ID <code>\(escape(page.requestID))</code></p></section>
                """)
        }

        func html(for page: UserSessionsPage) -> String {
            let rows = page.entries.map { session in
                let action =
                    session.isCurrent
                    ? "<strong>This browser</strong>"
                    : form(page.paths.path(ofSession: session.handle), "End it", isQuiet: true)
                return """
                    <li class="card session"><div><p>\(escape(session.device))</p>
                    <p class="fine">from \(escape(session.address ?? "an unknown address")), since \
                    \(time(session.began))</p></div>\(action)</li>
                    """
            }
            let others = page.entries.count > 1 ? form(page.paths[.sessions], "End all others", isQuiet: true) : ""
            return document(
                "Your sessions", user: UserInfo(claims: [:]), page.paths,
                """
                <h1>Where you are logged in</h1>
                <ul class="sessions">\(rows.joined())</ul>
                <div class="actions">\(others)\(form(page.paths[.logoutEverywhere], "Log out everywhere"))</div>
                """)
        }
    }

    private static func form(_ path: String, _ label: String, isQuiet: Bool = false) -> String {
        """
        <form method="post" action="\(escape(path))"><button class="button\(isQuiet ? " quiet" : "")">\(label)</button></form>
        """
    }

    private static func time(_ date: Date) -> String {
        date.formatted(.iso8601.year().month().day().dateTimeSeparator(.space).time(includingFractionalSeconds: false))
            + " UTC"
    }

    private static func list(_ cart: [String: Int]) -> String {
        let rows = Shop.items.compactMap { item in
            cart[item.id].map { "<li>\($0) × \(escape(item.name))</li>" }
        }
        return rows.isEmpty ? "<p>Nothing yet.</p>" : "<ul>\(rows.joined())</ul>"
    }

    private static func document(_ title: String, user: UserInfo?, _ paths: AuthPaths?, _ content: String) -> String {
        var navigation = ""
        if user != nil, let paths {
            navigation = """
                <nav><a href="\(paths[.sessions])">Your sessions</a>
                <form method="post" action="\(paths[.logout])"><button class="link">Log out</button></form></nav>
                """
        }
        return """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
            <title>\(escape(title))</title><link rel="stylesheet" href="/style.css"></head>
            <body><header><a class="brand" href="/">Hat &amp; Coat</a>\(navigation)</header>
            <main>\(content)</main></body></html>
            """
    }

    /// For text between tags and in quoted attributes.
    static func escape(_ text: String) -> String {
        text.reduce(into: "") { escaped, character in
            switch character {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            default: escaped.append(character)
            }
        }
    }
}
