import CloakroomHTTP

/// The pages' text. Every `{{value}}` is escaped; none is inserted raw.
enum Templates {
    static let pages = ["landing": landing, "user": user, "error": error]

    /// What all pages share.
    static func around(_ body: String) -> String {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>{{title}} · Cloakroom</title>
        <link rel="icon" href="data:,">
        <link rel="stylesheet" href="\(Asset.style.rawValue)">
        </head>
        <body>
        <main>
        <header><span class="mark" aria-hidden="true">№</span> Cloakroom</header>
        <section class="ticket">
        \(body)
        </section>
        {{#replica}}<footer>Answered by <strong id="replica">{{replica}}</strong></footer>{{/replica}}
        </main>
        </body>
        </html>
        """
    }

    private static let landing = """
        {{#notice}}<p class="notice" id="notice" role="status">{{notice}}</p>{{/notice}}
        <h1>Leave your coat here</h1>
        <p>Your tokens stay on the server; your browser gets a ticket.</p>
        <p><a class="button" id="login" href="\(AuthEndpoint.login.path)">Login with {{provider}}</a></p>
        """

    private static let user = """
        <h1>Hello, <span id="name">{{name}}</span></h1>
        <p>You are logged in.</p>
        <dl>
        {{#username}}<dt>Username</dt><dd id="username">{{username}}</dd>{{/username}}
        {{#email}}<dt>E-mail</dt><dd id="email">{{email}}</dd>{{/email}}
        <dt>Since</dt><dd id="began">{{began}}</dd>
        <dt>Until</dt><dd id="ends">{{ends}}</dd>
        <dt>Ticket</dt><dd><code id="handle">{{handle}}</code></dd>
        </dl>
        <div class="actions">
        {{#upstream}}<button type="button" class="button" id="call-api">Call the sample API</button>{{/upstream}}
        <form method="post" action="\(AuthEndpoint.logout.path)"><button class="button quiet" id="logout">Logout</button></form>
        </div>
        {{#upstream}}<pre id="api-result" aria-live="polite" hidden></pre>
        <script src="\(Asset.script.rawValue)" defer></script>{{/upstream}}
        """

    private static let error = """
        <p class="status">{{status}}</p>
        <h1>{{title}}</h1>
        <p>{{message}}</p>
        {{#link}}<p><a class="button" href="{{path}}">{{label}}</a></p>{{/link}}
        {{#form}}<form method="post" action="{{path}}"><button class="button">{{label}}</button></form>{{/form}}
        <p class="fine">Request ID <code>{{requestID}}</code></p>
        """
}
