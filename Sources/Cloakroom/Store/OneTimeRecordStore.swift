/// Keeps small records that can be taken exactly once, shared by all replicas: logins that are under way.
public protocol OneTimeRecordStore: Sendable {
    /// Keeps a record for a while.
    ///
    /// - Parameters:
    ///   - record: the bytes to keep, 16 KiB at most.
    ///   - key: a name of `A-Z a-z 0-9 - _`, unguessable where the record must be.
    ///   - lifetime: how long it may be taken.
    /// - Throws: ``SessionStoreError`` when it could not be kept.
    func putRecord(_ record: [UInt8], key: String, lifetime: Duration) async throws

    /// Takes a record away: of any number of calls, on any replica, one gets it.
    ///
    /// - Returns: `nil` when there is none, or it was taken, or its time is over.
    /// - Throws: ``SessionStoreError`` when the store can't tell.
    func takeRecord(key: String) async throws -> [UInt8]?
}
