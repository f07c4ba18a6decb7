import ArgumentParser

@main
struct CloakroomCommand: AsyncParsableCommand {
    /// As in the images' tag.
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "cloakroom",
        abstract: "Keeps your users' tokens on the server and gives their browsers an opaque cookie.",
        discussion: """
            EXAMPLES
              See it work, with nothing to install:
                cloakroom demo

              Run the gateway with the settings of the environment or of a .env file:
                cloakroom serve

              See whether settings and Redis are as they should be:
                cloakroom check
            """,
        version: "cloakroom \(Self.version)",
        subcommands: [ServeCommand.self, DemoCommand.self, CheckCommand.self, KeysCommand.self],
        defaultSubcommand: ServeCommand.self
    )
}
