/// The script for an app's pages, which the gateway serves at `/auth/client.js`: an ES module without dependencies.
///
/// It needs the routes of ``AuthEndpoint``. Where there is no `/auth/events`, it asks `/auth/me?peek=1` now and then.
public enum ClientScript {
    /// The module's text, at most 4 KiB.
    public static let text = """
        // Cloakroom for pages: see docs/live-pages.md.
        const listeners = { expiring: new Set(), refreshed: new Set(), logout: new Set() };
        const tabs = typeof BroadcastChannel === "function" ? new BroadcastChannel("cloakroom") : null;
        let isLive = false, hasBegun = false, isWatching = false, quietUntil = 0;

        function tell(type, detail, isNews = true) {
          if (type === "logout") {
            if (!isLive) return;
            isLive = false;
          } else if (type === "expiring") {
            if (Date.now() < quietUntil) return;
            quietUntil = Date.now() + detail.expires_in * 1000 - 1000;
          }
          if (isNews) tabs?.postMessage({ type, detail });
          for (const listener of listeners[type]) queueMicrotask(() => listener(detail));
        }

        if (tabs) tabs.onmessage = ({ data }) => {
          if (data.type === "check") setTimeout(() => isLive && check().catch(() => {}), 1000);
          else if (data.type in listeners) tell(data.type, data.detail, false);
        };

        async function me(query) {
          const response = await globalThis.fetch("/auth/me" + query, {
            headers: { Accept: "application/json" }, cache: "no-store" });
          if (response.ok) {
            isLive = true;
            return response;
          }
          if (response.status !== 401) throw new Error("/auth/me answered " + response.status);
          const { reason = "elsewhere" } = await response.json().catch(() => ({}));
          tell("logout", { reason });
          return null;
        }

        /** Whether the session lives; no use of it. */
        async function check() {
          const response = await me("?peek=1&details=1");
          if (!response) return false;
          const { session } = await response.json();
          if (session.expires_in <= 120) tell("expiring", session);
          return true;
        }

        /** One tab has the stream and tells the others: over HTTP/1.1, browsers open six connections to a host. */
        function watch() {
          if (isWatching) return;
          isWatching = true;
          const turn = () => new Promise((done) => follow(() => { isWatching = false; done(); }));
          if (navigator.locks) navigator.locks.request("cloakroom", turn);
          else turn();
        }

        function follow(done, failures = 0) {
          if (!isLive) return done();
          const source = new EventSource("/auth/events");
          source.addEventListener("hello", () => { failures = 0; });
          for (const type in listeners) source.addEventListener(type, (event) => {
            tell(type, JSON.parse(event.data));
            if (type === "logout") { source.close(); done(); }
          });
          source.onerror = () => {
            // Unless it is closed, it connects again by itself.
            if (source.readyState !== EventSource.CLOSED) return;
            const again = () => follow(done, failures + 1);
            setTimeout(() => check().then((lives) => lives ? again() : done(), again),
              failures && 15000 + Math.random() * 15000);
          };
        }

        /** The user's claims, or null. This is a use of the session. */
        export async function user() {
          const response = await me("");
          if (response && hasBegun) watch();
          return response && response.json();
        }

        /** Leaves for the login, which leads back. */
        export function login(returnTo = location.pathname + location.search) {
          location.assign("/auth/login?return_to=" + encodeURIComponent(returnTo));
        }

        export function logout() {
          tabs?.postMessage({ type: "check" });
          location.assign("/auth/logout");
        }

        /** The browser's fetch, with the field that /api wants. */
        export async function fetch(input, init) {
          const request = new Request(input, init);
          const isOurs = new URL(request.url).origin === location.origin;
          if (isOurs) request.headers.set("X-CSRF", "1");
          const response = await globalThis.fetch(request);
          if (isOurs && response.status === 401) check().catch(() => {});
          return response;
        }

        /** Calls the listener at "expiring", "refreshed" or "logout"; gives what ends that. */
        export function on(type, listener) {
          if (!(type in listeners)) throw new TypeError("no such event: " + type);
          listeners[type].add(listener);
          if (!hasBegun) {
            hasBegun = true;
            check().then((lives) => lives && watch(), () => { isLive = true; watch(); });
          }
          return () => listeners[type].delete(listener);
        }

        export default globalThis.cloakroom = Object.freeze({ user, login, logout, fetch, on });
        """
}
