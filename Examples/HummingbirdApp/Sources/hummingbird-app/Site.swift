import Cloakroom
import CloakroomHTTP
import CloakroomHummingbird
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

/// The routes.
struct Site {
    let store: any FullSessionStore
    let refresher: any SessionRefresher
    let persist: any PersistDriver
    let endpoints: AuthEndpoints
    let publicURL: PublicURL

    func router() -> Router<AppContext> {
        let router = Router(context: AppContext.self)
        router.addMiddleware {
            SecurityHeadersMiddleware(publicURL: publicURL)
            FailureMiddleware(pages: Pages.Own())
            SessionMiddleware(store: store, publicURL: publicURL, refresher: refresher)
        }
        LoginRoutes(endpoints).add(to: router)
        LogoutRoutes(endpoints).add(to: router)
        UserSessionRoutes(endpoints).add(to: router)

        router.get("/style.css") { _, _ in Assets.style }
        router.get("/shop.js") { _, _ in Assets.script }
        router.get("/") { _, context in
            guard let live = try await context.session.current() else { return Pages.landing(paths) }
            return Pages.shop(live.session.userInfo, live.session.attributes.cart, paths)
        }
        addPages(
            to: router.group().add(middleware: RequireSession(.pages, publicURL: publicURL, paths: paths))
                .group(context: UserContext.self))
        addAPI(
            to: router.group("/api").add(middleware: RequireSession(.api, publicURL: publicURL, paths: paths))
                .group(context: UserContext.self))
        return router
    }

    private var paths: AuthPaths { endpoints.paths }

    /// Pages and forms of who is logged in.
    private func addPages(to pages: RouterGroup<UserContext>) {
        pages.post("/cart/:item") { _, context in
            let item = try Self.item(context)
            try await context.session.update { $0.put(item) }
            return Response.seeOther("/")
        }
        pages.post("/cart") { _, context in
            try await context.session.update { $0[CartKey.self] = nil }
            return Response.seeOther("/")
        }
        pages.post("/receipts") { [persist] _, context in
            let cart = context.session.attributes.cart
            guard !cart.isEmpty else { return Response.seeOther("/") }
            let id = UUID().uuidString.lowercased()
            let receipt = Receipt(owner: try Self.owner(context), items: cart)
            try await persist.create(key: Receipt.key(id), value: receipt, expires: Receipt.lifetime)
            try await context.session.update { $0[CartKey.self] = nil }
            return Response.seeOther("/receipts/\(id)")
        }
        pages.get("/receipts/:id") { [persist] _, context in
            // Of another user's nothing is said, not even that there is one.
            guard let id = context.parameters.get("id", as: UUID.self)?.uuidString.lowercased(),
                let receipt = try await persist.get(key: Receipt.key(id), as: Receipt.self),
                receipt.owner == (try Self.owner(context))
            else { throw HTTPError(.notFound) }
            return Pages.receipt(receipt, context.session.user, paths)
        }
    }

    /// What the script of the pages calls.
    private func addAPI(to api: RouterGroup<UserContext>) {
        api.get("cart") { _, context in CartAnswer(items: context.session.attributes.cart) }
        api.post("cart/:item") { _, context in
            let item = try Self.item(context)
            try await context.session.update { $0.put(item) }
            return CartAnswer(items: context.session.attributes.cart)
        }
        // An access token never leaves the server; that it is always a fresh one may be seen.
        api.get("token") { _, context in
            let token = try await context.session.accessToken()
            let end = context.session.record.accessTokenExpiresAt ?? .distantFuture
            return TokenAnswer(size: token.utf8.count, secondsLeft: Int(end.timeIntervalSinceNow.rounded(.down)))
        }
    }

    private static func item(_ context: UserContext) throws -> Shop.Item {
        let id = try context.parameters.require("item")
        guard let item = Shop.items.first(where: { $0.id == id }) else { throw HTTPError(.notFound) }
        return item
    }

    /// The user, over all of their sessions.
    private static func owner(_ context: UserContext) throws -> String {
        guard let user = context.session.identity else { throw HTTPError(.forbidden) }
        return "\(user.subject) at \(user.issuer ?? "")"
    }
}

struct CartAnswer: ResponseEncodable {
    let items: [String: Int]
}

struct TokenAnswer: ResponseEncodable {
    let size: Int
    let secondsLeft: Int
}

extension Response {
    static func seeOther(_ path: String) -> Response {
        Response(status: .seeOther, headers: [.location: path, .cacheControl: "no-store"])
    }

    /// A page that no cache keeps, as it is about a user: the back button shows nothing after a logout.
    static func page(_ html: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: "text/html; charset=utf-8", .cacheControl: "no-store"],
            body: .init(byteBuffer: ByteBuffer(string: html)))
    }
}
