import ArgumentParser
import Cloakroom
import CloakroomGateway
import CloakroomOIDC
import Foundation

struct KeysCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys",
        abstract: "Make keys that seal sessions, or that sign for this app at the provider.",
        subcommands: [GenerateKeyCommand.self]
    )
}

struct GenerateKeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract: "Make a new key for SESSION_KEYS, or with --client one for OIDC_CLIENT_KEY_FILE.",
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

              A private key that shows the provider who this app is, instead of a client secret:
                cloakroom keys generate --client --output /etc/cloakroom/client-key.pem

            WITH --client
              The key goes to OIDC_CLIENT_KEY_FILE. What the provider must know is its public half, which this prints as a
              JWK set, and which the gateway serves at /auth/jwks.json: give the provider that address, or the text.

              To rotate it: append a new key to the file (OLD, NEW), and wait until the provider has read /auth/jwks.json
              again, or give it the new public key; then put the new key first; then take the old one away. The first key
              signs, all are published, and the file is read again by itself.

            TO ROTATE SESSION_KEYS, with nobody logged out:
              1. make a new key, and append it:  SESSION_KEYS=OLD,NEW  restart all replicas, one after the other;
              2. put it first:                   SESSION_KEYS=NEW,OLD  restart all replicas again;
              3. when SESSION_TIMEOUT is over:   SESSION_KEYS=NEW      no session is sealed with the old one any more.
              The first key seals, all of them open; with step 1 no replica meets a key that it does not have.

            TO BEGIN SEALING in a deploy of several replicas: first SESSION_KEYS=KEY with SESSION_SEAL=false on all of \
            them, so that all can open sealed sessions; then without SESSION_SEAL.
            """
    )

    @Flag(help: "Make a private key with which this app shows the provider who it is (private_key_jwt).")
    var client = false
    @Option(help: "What a client's key signs with: \(KeyAlgorithm.names).")
    var algorithm: KeyAlgorithm?
    @Option(help: ArgumentHelp("With --client: write the private key to this new file, mode 0600.", valueName: "path"))
    var output: String?
    @Flag(help: "Print a JSON object.")
    var json = false

    func validate() throws {
        guard client || (algorithm == nil && output == nil) else {
            throw ValidationError("--algorithm and --output go with --client")
        }
    }

    func run() async throws {
        if client {
            return try await failing {
                try ClientKeyMaker(algorithm: algorithm?.algorithm ?? .rs256, output: output, json: json).run()
            }
        }
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
