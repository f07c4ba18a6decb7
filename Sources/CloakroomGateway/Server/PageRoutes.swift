import CloakroomHummingbird
import Hummingbird

/// `/`: the login button for visitors, the session for users.
struct PageRoutes: Sendable {
    let pages: Pages

    func add(to router: some RouterMethods<GatewayContext>) {
        router.get("/", use: start)
        Assets.add(to: router)
    }

    @Sendable private func start(_ request: Request, _ context: GatewayContext) async throws -> Response {
        // The provider comes back from a logout with a `state`, which means nothing any more.
        if request.uri.query?.hasPrefix("state=") == true { return .noStoreRedirect(to: "/") }
        guard let live = try await context.session.current() else { return .html(pages.landing()) }
        return .html(pages.user(live))
    }
}
