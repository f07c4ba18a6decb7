import ArgumentParser
import Cloakroom
import CloakroomGateway
import CloakroomOIDC
import Foundation

/// `cloakroom keys generate --client`.
struct ClientKeyMaker {
    let algorithm: ClientKey.Algorithm
    /// The file that the private key is written to; `nil` to print it.
    let output: String?
    let json: Bool

    func run() throws {
        let key = try ClientKey.generate(algorithm)
        if let output { try write(key.pem, to: output) }
        let set: JSONObject = ["keys": [.object(key.publicKey)]]
        guard json else {
            // What is secret is printed alone, so that it can be piped into a file.
            Console.say(output == nil ? String(key.pem.dropLast()) : text(set))
            return
        }
        var report: JSONObject = [
            "algorithm": .string(algorithm.rawValue), "key_id": .string(key.keyID), "jwks": .object(set),
        ]
        if let output { report["file"] = .string(output) } else { report["private_key"] = .string(key.pem) }
        Console.say(text(report))
    }

    /// Writes a file that was not there: a key that is in use is never lost.
    private func write(_ text: String, to path: String) throws {
        let shown = LineLogHandler.visible(path)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            let reason = errno == EEXIST ? "is there already; choose another name" : String(cString: strerror(errno))
            throw Failure("can't write \(shown): \(reason)")
        }
        defer { close(descriptor) }
        do {
            try Output(descriptor: descriptor).write(Array(text.utf8))
            guard fsync(descriptor) == 0 else { throw Failure("can't write: \(String(cString: strerror(errno)))") }
        } catch let failure as Failure {
            // Half a key is no use, and would be in the way of the next try.
            unlink(path)
            throw Failure("\(shown): \(failure.line)")
        }
    }

    private func text(_ object: JSONObject) -> String {
        String(decoding: JSONValue.object(object).serialized, as: UTF8.self)
    }
}

/// What a client's key signs with, as an argument: in letters of either case.
struct KeyAlgorithm: ExpressibleByArgument {
    static let names = ClientKey.Algorithm.allCases.map(\.rawValue).joined(separator: ", ")

    let algorithm: ClientKey.Algorithm

    init?(argument: String) {
        let found = ClientKey.Algorithm.allCases.first { $0.rawValue.lowercased() == argument.lowercased() }
        guard let found else { return nil }
        algorithm = found
    }
}
