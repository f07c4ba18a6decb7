/// A store that can do all that a gateway needs: sessions, lists and revocation, refresh leases, one-time records for
/// logins, taking sessions over from another store, and notes of why sessions ended, which a store may do without.
///
/// Depend on this where several of these roles are needed, rather than on one with a cast to another: a store wrapped in
/// another type would lose its roles in silence.
public protocol FullSessionStore:
    SessionTransfer, SessionDirectory, RefreshLeaseStore, OneTimeRecordStore, SessionEndNotes
{}
