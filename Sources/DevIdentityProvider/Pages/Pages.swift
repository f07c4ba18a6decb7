/// The pages that people see. Their forms lead to addresses relative to the page, as the issuer may have a path.
enum Pages {
    struct Login {
        var clientID: String
        var request: String
        var csrf: String
        var username: String
        var message: String?
        var hint: String?
    }

    static func login(_ login: Login) -> HTML {
        let message: HTML = login.message.map { "<p class=\"message\" role=\"alert\">\($0)</p>" } ?? ""
        let hint: HTML = login.hint.map { "<p class=\"hint\">\($0)</p>" } ?? ""
        return page(
            title: "Sign in",
            """
            <p>to continue to <strong>\(login.clientID)</strong></p>
            \(message)
            <form method="post" action="login">
            <input type="hidden" name="request" value="\(login.request)">
            <input type="hidden" name="csrf" value="\(login.csrf)">
            <label for="username">Username</label>
            <input id="username" name="username" value="\(login.username)" autocomplete="username" \
            autocapitalize="none" spellcheck="false" maxlength="200" required autofocus>
            <label for="password">Password</label>
            <input id="password" name="password" type="password" autocomplete="current-password" maxlength="200" required>
            <button type="submit">Sign in</button>
            </form>
            \(hint)
            """)
    }

    static func confirmLogout(request: String, csrf: String) -> HTML {
        page(
            title: "Sign out?",
            """
            <p>You will need your password again.</p>
            <form method="post" action="end_session/confirm">
            <input type="hidden" name="request" value="\(request)">
            <input type="hidden" name="csrf" value="\(csrf)">
            <button type="submit">Sign out</button>
            </form>
            """)
    }

    static let loggedOut = page(title: "Signed out", "<p>You can close this page.</p>")

    static func error(_ message: String) -> HTML {
        page(title: "That did not work", "<p class=\"message\" role=\"alert\">\(message)</p>")
    }

    private static func page(title: String, _ content: HTML) -> HTML {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>\(title)</title>
        <style>\(HTML(stringLiteral: style))</style>
        </head>
        <body>
        <main>
        <h1>\(title)</h1>
        \(content)
        </main>
        <footer>Identity provider for development. Do not use real passwords here.</footer>
        </body>
        </html>
        """
    }

    /// The one style sheet; the pages' security policy allows it by its hash.
    static let style = """
        :root { color-scheme: light dark; --ink: #1c2430; --paper: #fff; --ground: #eef1f6; --line: #c6cedb;
          --accent: #2457c5; --alert: #a3231b; --soft: #596579 }
        @media (prefers-color-scheme: dark) { :root { --ink: #e8ecf3; --paper: #1b222d; --ground: #10151c;
          --line: #3a4657; --accent: #5b8cff; --alert: #ff8d84; --soft: #9aa6b8 } }
        * { box-sizing: border-box }
        body { margin: 0; min-height: 100vh; display: flex; flex-direction: column; align-items: center;
          justify-content: center; gap: 1.5rem; padding: 1rem; background: var(--ground); color: var(--ink);
          font: 16px/1.5 system-ui, sans-serif }
        main { width: 100%; max-width: 24rem; padding: 2.25rem; background: var(--paper); border-radius: 14px;
          box-shadow: 0 1px 2px rgb(0 0 0 / 12%), 0 12px 32px rgb(0 0 0 / 10%) }
        h1 { margin: 0 0 .25rem; font-size: 1.6rem; letter-spacing: -.01em }
        p { margin: 0 0 1rem; overflow-wrap: anywhere }
        label { display: block; margin: 1rem 0 .3rem; font-size: .9rem; font-weight: 600 }
        input { width: 100%; padding: .65rem .75rem; border: 1px solid var(--line); border-radius: 8px;
          background: transparent; color: inherit; font: inherit }
        input:focus-visible, button:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px }
        button { width: 100%; margin-top: 1.5rem; padding: .75rem; border: 0; border-radius: 8px;
          background: #2457c5; color: #fff; font: inherit; font-weight: 600; cursor: pointer }
        button:hover { background: #1c479f }
        .message { color: var(--alert); font-weight: 600 }
        .hint { margin: 1.25rem 0 0; color: var(--soft); font-size: .9rem }
        footer { color: var(--soft); font-size: .85rem; text-align: center }
        """
}
