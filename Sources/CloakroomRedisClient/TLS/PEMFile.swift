#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Reads a small file whole.
enum PEMFile {
    /// Larger than any chain of certificates and any system's bundle of authorities.
    private static let maximumSize = 4 << 20

    /// The content of a file.
    ///
    /// - Parameter role: what the file is for, for the error.
    static func read(_ path: String, role: String) throws(RedisClientError) -> [UInt8] {
        guard let file = fopen(path, "r") else {
            throw failure(path, role, String(cString: strerror(errno)).lowercased())
        }
        defer { fclose(file) }
        var content: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&piece, 1, piece.count, file)
            guard ferror(file) == 0 else { throw failure(path, role, String(cString: strerror(errno)).lowercased()) }
            content += piece.prefix(count)
            guard content.count <= maximumSize else { throw failure(path, role, "it is larger than 4 MiB") }
            if count == 0 { return content }
        }
    }

    /// The error that names the file.
    static func failure(_ path: String, _ role: String, _ problem: String) -> RedisClientError {
        RedisClientError(.handshakeRefused, reason: "\(role) \(path): \(problem)")
    }
}
