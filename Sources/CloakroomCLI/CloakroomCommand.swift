import ArgumentParser
import CloakroomGateway

#if Demo
import CloakroomDemo
#endif

@main
struct CloakroomCommand: AsyncParsableCommand {
    /// As in the images' tag.
    static let version = CloakroomVersion.current

    // Programs for production are built without the demo: see Package.swift.
    #if Demo
    private static let subcommands: [any ParsableCommand.Type] = [
        ServeCommand.self, DemoCommand.self, CheckCommand.self, SessionsCommand.self, KeysCommand.self,
        HealthCommand.self, CompletionCommand.self,
    ]
    private static let demoExample = """
          See it work, with nothing to install:
            cloakroom demo


        """
    #else
    private static let subcommands: [any ParsableCommand.Type] = [
        ServeCommand.self, CheckCommand.self, SessionsCommand.self, KeysCommand.self, HealthCommand.self,
        CompletionCommand.self,
    ]
    private static let demoExample = ""
    #endif

    static let configuration = CommandConfiguration(
        commandName: "cloakroom",
        abstract: "Keeps your users' tokens on the server and gives their browsers an opaque cookie.",
        discussion: """
            EXAMPLES
            \(demoExample)  Run the gateway with the settings of the environment or of a .env file:
                cloakroom serve

              See whether settings and Redis are as they should be:
                cloakroom check

              Who is logged in:
                cloakroom sessions list
            """,
        version: "cloakroom \(Self.version)",
        subcommands: subcommands,
        defaultSubcommand: ServeCommand.self
    )
}
