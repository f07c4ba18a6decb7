/// Why a key, certificate or assertion of this client can't be used.
///
/// Holds nothing of the secret: it may be logged.
public struct ClientCredentialsError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong, in words that follow the name of the file or setting.
    public let reason: String

    init(_ reason: String) { self.reason = reason }

    /// The reason.
    public var description: String { reason }
}
