import HTTPTypes
import Hummingbird
import NIOCore

/// Style and script are files of their own, so that the pages' content security policy need allow nothing inline.
enum Assets {
    static var style: Response { asset(styleText, type: "text/css; charset=utf-8") }
    static var script: Response { asset(scriptText, type: "text/javascript; charset=utf-8") }

    private static func asset(_ text: String, type: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: type, .cacheControl: "public, max-age=300"],
            body: .init(byteBuffer: ByteBuffer(string: text)))
    }

    /// Puts things into the cart without loading the page anew. Without the script the forms do the same.
    private static let scriptText = """
        const cart = document.getElementById("cart");
        const names = new Map();
        for (const button of document.querySelectorAll("button[data-item]")) {
          names.set(button.dataset.item, button.closest("li").querySelector("h2").textContent);
          button.form.addEventListener("submit", async (event) => {
            event.preventDefault();
            // The field that no other site can set.
            const answer = await fetch(`/api/cart/${button.dataset.item}`, { method: "POST", headers: { "X-CSRF": "1" } });
            if (!answer.ok) { location.reload(); return; }
            const { items } = await answer.json();
            const list = document.createElement("ul");
            for (const [item, name] of names) {
              if (!items[item]) continue;
              const row = document.createElement("li");
              row.textContent = `${items[item]} × ${name}`;
              list.append(row);
            }
            cart.replaceChildren(list);
          });
        }
        document.documentElement.dataset.ready = "";
        """

    private static let styleText = """
        :root {
          color-scheme: light dark;
          --ground: #eef2ee; --card: #fff; --ink: #1d2a24; --soft: #55665d; --line: #cbd6cf; --accent: #1f6b4a; --on: #fff;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --ground: #121815; --card: #1b2420; --ink: #e6eee9; --soft: #a0b1a8; --line: #33413a; --accent: #74c69d;
            --on: #0c1410;
          }
        }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
        header {
          display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: center; justify-content: space-between;
          padding: .9rem 1.5rem; background: var(--card); border-bottom: 1px solid var(--line);
        }
        nav { display: flex; gap: 1.25rem; align-items: center; }
        main { width: min(56rem, 100%); margin: 0 auto; padding: 1.5rem; }
        h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }
        h2 { font-size: 1.1rem; margin: 0 0 .25rem; }
        a { color: var(--accent); }
        form { margin: 0; }
        .brand { font-weight: 700; font-size: 1.1rem; text-decoration: none; color: var(--ink); }
        .card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.25rem; }
        .items, .sessions { list-style: none; margin: 0 0 1.5rem; padding: 0; display: grid; gap: 1rem; }
        .items { grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); }
        .items .card { padding: 1rem; }
        .items .button { padding-inline: .6rem; white-space: nowrap; }
        .session { display: flex; flex-wrap: wrap; gap: 1rem; justify-content: space-between; align-items: center; }
        .session div { flex: 1 1 16rem; min-width: 0; }
        .session p { margin: 0; overflow-wrap: anywhere; }
        .price { margin: 0 0 1rem; font-weight: 600; }
        .fine { color: var(--soft); font-size: .875rem; }
        .actions { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: 1rem; }
        .button {
          display: inline-block; padding: .6rem 1.1rem; border: 1px solid var(--accent); border-radius: 8px;
          background: var(--accent); color: var(--on); font: inherit; font-weight: 600; text-decoration: none; cursor: pointer;
        }
        .quiet { background: transparent; color: var(--accent); }
        .link {
          padding: 0; border: 0; background: none; color: var(--accent); font: inherit; text-decoration: underline;
          cursor: pointer;
        }
        :is(a, button):focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; border-radius: 4px; }
        """
}
