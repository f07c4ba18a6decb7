public import struct Foundation.Date

/// A store that sessions can be moved into while both it and the store they come from are in use.
///
/// Moving must not undo a logout: a session that was ended in this store may still be found in the other. A *tombstone*
/// says so in its place.
public protocol SessionTransfer: SessionStore {
    /// Takes a session over under the ID that it has, unless this store holds that session already or its tombstone.
    ///
    /// - Returns: whether it was taken over; `false` too for one that has ended.
    /// - Throws: ``SessionStoreError`` when the store could not confirm it.
    func insertSession(_ session: Session, for id: SessionID) async throws -> Bool

    /// Ends a session, whether or not this store holds it, and leaves a tombstone: until `end` the store answers "no
    /// session" for this ID and takes none over.
    ///
    /// - Throws: ``SessionStoreError`` when the store could not confirm it.
    func deleteSession(_ id: SessionID, tombstoneUntil end: Date) async throws
}
