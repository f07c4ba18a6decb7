#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Random bytes of the system's cryptographically secure generator, by one system call: `SystemRandomNumberGenerator` makes
/// one for each eight bytes.
///
/// - Parameter count: 256 at most.
package func systemRandomBytes(_ count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { bytes, initialized in
        #if canImport(Darwin)
        arc4random_buf(bytes.baseAddress, count)
        #else
        // It fails only for more than 256 bytes, or where a filter of system calls forbids it: then nothing is safe.
        precondition(getentropy(bytes.baseAddress, count) == 0, "the system has no random numbers")
        #endif
        initialized = count
    }
}

/// 256 random bits as 43 characters of base64url: for whatever must be unguessable.
package func randomText() -> String { Base64URL.encode(systemRandomBytes(32)) }
