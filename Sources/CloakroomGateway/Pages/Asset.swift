import CloakroomHTTP
import HTTPTypes

/// The style sheet and the script of the gateway's pages, and the script for the app's. They are files of their own so that the
/// pages' content security policy need allow nothing inline.
enum Asset: String, CaseIterable, Sendable {
    case style = "/auth/assets/style.css"
    case script = "/auth/assets/app.js"
    /// For the app's own pages.
    case client = "/auth/client.js"

    var answer: HTTPAnswer {
        switch self {
        case .style: Self.answer(Self.styleText + Self.sessionsStyleText, type: "text/css; charset=utf-8")
        case .script: Self.answer(Self.scriptText, type: "text/javascript; charset=utf-8")
        case .client: Self.answer(ClientScript.text, type: "text/javascript; charset=utf-8")
        }
    }

    private static func answer(_ text: String, type: String) -> HTTPAnswer {
        HTTPAnswer(
            status: .ok, headers: [.contentType: type, .cacheControl: "public, max-age=300"], body: Array(text.utf8))
    }

    private static let scriptText = """
        "use strict";
        const button = document.getElementById("call-api");
        const result = document.getElementById("api-result");
        button.addEventListener("click", async () => {
          button.disabled = true;
          result.hidden = false;
          result.textContent = "…";
          try {
            const response = await fetch("/api/whoami", { headers: { "X-CSRF": "1", Accept: "application/json" } });
            const text = await response.text();
            let shown = text;
            try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: show it as it came */ }
            const replica = response.headers.get("X-Cloakroom-Replica");
            result.textContent = `${response.status}${replica ? ` from ${replica}` : ""}\\n${shown}`;
          } catch (error) {
            result.textContent = `No answer: ${error.message}`;
          } finally {
            button.disabled = false;
          }
        });
        """

    private static let styleText = """
        :root {
          color-scheme: light dark;
          --ground: #f4efe6; --card: #fffdf8; --ink: #2b2320; --soft: #6d5f56; --line: #ddd0bd;
          --accent: #8c2f39; --accent-ink: #fff;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --ground: #191514; --card: #241e1c; --ink: #f2eae0; --soft: #b3a396; --line: #43372f;
            --accent: #d98a7a; --accent-ink: #241512;
          }
        }
        * { box-sizing: border-box; }
        body {
          margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem;
          background: var(--ground); color: var(--ink);
          font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
        }
        main { width: min(30rem, 100%); }
        header { font-weight: 650; letter-spacing: .02em; margin: 0 0 1rem .25rem; }
        .mark {
          display: inline-grid; place-items: center; width: 2rem; height: 2rem; margin-right: .4rem;
          border-radius: 50%; background: var(--accent); color: var(--accent-ink);
        }
        .ticket {
          position: relative; background: var(--card); border: 1px solid var(--line); border-radius: 14px;
          padding: 1.75rem 2rem 2rem; box-shadow: 0 10px 30px rgb(0 0 0 / .08);
        }
        .ticket::before {
          content: ""; display: block; margin: 0 -2rem 1.5rem; padding-top: .25rem;
          border-bottom: 2px dashed var(--line);
        }
        h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem; overflow-wrap: anywhere; }
        p { margin: .5rem 0 1rem; }
        dl { display: grid; grid-template-columns: max-content 1fr; gap: .4rem 1.25rem; margin: 1.25rem 0 1.5rem; }
        dt { color: var(--soft); }
        dd { margin: 0; overflow-wrap: anywhere; }
        code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .9em; }
        pre {
          margin: 1.25rem 0 0; padding: 1rem; border-radius: 8px; background: var(--ground);
          border: 1px solid var(--line); white-space: pre-wrap; overflow-wrap: anywhere;
        }
        .button {
          display: inline-block; padding: .7rem 1.3rem; border: 1px solid var(--accent); border-radius: 10px;
          background: var(--accent); color: var(--accent-ink); font: inherit; font-weight: 600;
          text-decoration: none; cursor: pointer;
        }
        .button:hover { filter: brightness(1.08); }
        .button:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; }
        .button:disabled { opacity: .6; cursor: default; }
        .button.quiet { background: transparent; color: var(--accent); }
        .actions { display: flex; flex-wrap: wrap; gap: .75rem; }
        .status { color: var(--accent); font-weight: 700; margin: 0; }
        .fine, footer { color: var(--soft); font-size: .875rem; }
        .fine { margin: 1.5rem 0 0; }
        footer { margin: 1rem .25rem 0; }
        """
}
