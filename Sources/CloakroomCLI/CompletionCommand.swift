import ArgumentParser
import CloakroomGateway

struct CompletionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completion",
        abstract: "Print a script that completes commands and flags in a shell.",
        discussion: """
            EXAMPLES
              cloakroom completion bash > /etc/bash_completion.d/cloakroom
              cloakroom completion zsh > "${fpath[1]}/_cloakroom"
              cloakroom completion fish > ~/.config/fish/completions/cloakroom.fish
            """
    )

    enum Shell: String, ExpressibleByArgument, CaseIterable {
        case bash, zsh, fish
    }

    @Argument(help: "The shell.")
    var shell: Shell

    func run() throws {
        let kind: CompletionShell =
            switch shell {
            case .bash: .bash
            case .zsh: .zsh
            case .fish: .fish
            }
        Console.say(CloakroomCommand.completionScript(for: kind))
    }
}
