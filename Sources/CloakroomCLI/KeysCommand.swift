import ArgumentParser
import Cloakroom
import CloakroomGateway
import Foundation

struct KeysCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys",
        abstract: "Make keys that seal sessions.",
        subcommands: [GenerateKeyCommand.self]
    )
}

struct GenerateKeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract: "Make a new key for SESSION_KEYS.",
        discussion: """
            Prints one key, 256 random bits, with the ID that records name it by. Whoever has it, and a user's cookie, can \
            open that user's session: keep it like a password. It has no flag in serve; give it in the environment or in \
            the .env file.

            EXAMPLES
              Seal sessions from now on:
                SESSION_KEYS=$(cloakroom keys generate) cloakroom serve

              Into a file, for a secret manager:
                cloakroom keys generate > session-keys

              For a program:
                cloakroom keys generate --json

            TO ROTATE, with nobody logged out:
              1. make a new key, and append it:  SESSION_KEYS=OLD,NEW  restart all replicas, one after the other;
              2. put it first:                   SESSION_KEYS=NEW,OLD  restart all replicas again;
              3. when SESSION_TIMEOUT is over:   SESSION_KEYS=NEW      no session is sealed with the old one any more.
              The first key seals, all of them open; with step 1 no replica meets a key that it does not have.

            TO BEGIN SEALING in a deploy of several replicas: first SESSION_KEYS=KEY with SESSION_SEAL=false on all of \
            them, so that all can open sealed sessions; then without SESSION_SEAL.
            """
    )

    @Flag(help: "Print a JSON object.")
    var json = false

    func run() async throws {
        let key = SessionKeyring.generateKey()
        guard json else {
            Console.say(key)
            return
        }
        let keyID = try SessionKeyring(key).keyIDs.first ?? ""
        Console.say(JSONOutput.text(KeyReport(key: key, key_id: keyID)))
    }

    private struct KeyReport: Encodable {
        let key: String
        let key_id: String
    }
}
