import CloakroomHTTP

extension Templates {
    /// A user's own sessions.
    static let sessions = """
        <h1>Your sessions</h1>
        <p>Where you are logged in. End those that you do not recognise or no longer need.</p>
        <ul class="sessions">
        {{#sessions}}<li{{#current}} class="current"{{/current}}>
        <h2>{{device}}{{#current}} <span class="badge">This session</span>{{/current}}</h2>
        <dl>
        {{#address}}<dt>Address</dt><dd>{{address}}</dd>{{/address}}
        {{#provider}}<dt>Provider</dt><dd>{{provider}}</dd>{{/provider}}
        <dt>Since</dt><dd>{{began}}</dd>
        {{#used}}<dt>Last used</dt><dd>{{used}}</dd>{{/used}}
        <dt>Until</dt><dd>{{ends}}</dd>
        <dt>Ticket</dt><dd><code>{{handle}}</code></dd>
        </dl>
        {{^current}}<form method="post" action="{{path}}"><button class="button quiet small" aria-label="End: {{device}}, since {{began}}">End</button></form>{{/current}}
        </li>{{/sessions}}
        </ul>
        {{#hidden}}<p class="fine">{{hidden}} older sessions are not shown.</p>{{/hidden}}
        <div class="actions">
        {{#others}}<form method="post" action="\(AuthEndpoint.sessions.path)"><button class="button quiet" id="end-others">End all others</button></form>{{/others}}
        <form method="post" action="\(AuthEndpoint.logoutEverywhere.path)"><button class="button" id="everywhere">Log out everywhere</button></form>
        </div>
        <p class="fine"><a href="/">Back to the start page</a></p>
        """
}
