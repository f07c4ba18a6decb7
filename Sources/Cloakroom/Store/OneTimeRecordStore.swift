/// Keeps small records for a while, shared by all replicas, such that one caller alone gets each: what makes sure that a
/// login is completed once, and a logout token accepted once.
public protocol OneTimeRecordStore: Sendable {
    /// Keeps a record for a while.
    ///
    /// - Parameters:
    ///   - record: the bytes to keep, 16 KiB at most.
    ///   - key: a name of `A-Z a-z 0-9 - _`, unguessable where the record must be.
    ///   - lifetime: how long it may be taken.
    /// - Throws: ``SessionStoreError`` when it could not be kept.
    func putRecord(_ record: [UInt8], key: String, lifetime: Duration) async throws

    /// Keeps a record for a while, unless there is one with this key whose time is not over: of any number of calls, on any
    /// replica, one gets the key. It is free again after ``takeRecord(key:)``.
    ///
    /// - Parameters: as for ``putRecord(_:key:lifetime:)``.
    /// - Returns: whether it is this record that is kept.
    /// - Throws: ``SessionStoreError`` when it could not be kept, or the store can't tell.
    func putRecordIfAbsent(_ record: [UInt8], key: String, lifetime: Duration) async throws -> Bool

    /// Reads a record and leaves it where it is.
    ///
    /// - Returns: `nil` when there is none, or it was taken, or its time is over.
    /// - Throws: ``SessionStoreError`` when the store can't tell.
    func readRecord(key: String) async throws -> [UInt8]?

    /// Takes a record away: of any number of calls, on any replica, one gets it.
    ///
    /// - Returns: `nil` when there is none, or it was taken, or its time is over.
    /// - Throws: ``SessionStoreError`` when the store can't tell.
    func takeRecord(key: String) async throws -> [UInt8]?
}
