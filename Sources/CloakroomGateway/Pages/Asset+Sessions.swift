extension Asset {
    /// What the list of a user's sessions and notices look like.
    static let sessionsStyleText = """

        a { color: var(--accent); }
        a:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; }
        .notice {
          margin: 0 0 1.25rem; padding: .75rem 1rem; border-left: 4px solid var(--accent); border-radius: 6px;
          background: var(--ground);
        }
        .sessions { list-style: none; margin: 1.25rem 0 1.5rem; padding: 0; }
        .sessions li { padding: 1.25rem 0; border-top: 1px solid var(--line); }
        .sessions li:last-child { border-bottom: 1px solid var(--line); }
        .sessions h2 {
          display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem .6rem; font-size: 1.1rem; margin: 0;
          overflow-wrap: anywhere;
        }
        .sessions dl { margin: .6rem 0 0; font-size: .925rem; gap: .2rem 1.25rem; }
        .sessions form { margin: .9rem 0 0; }
        .badge {
          padding: .1rem .55rem; border-radius: 999px; font-size: .8rem;
          font-weight: 600; background: var(--accent); color: var(--accent-ink); white-space: nowrap;
        }
        .button.small { padding: .35rem .9rem; font-size: .925rem; }
        """
}
