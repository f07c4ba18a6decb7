import Cloakroom
import Foundation
import SQLiteSessionStore
import Testing

/// What is true of a store in a file, beyond the promises of every store.
@Suite struct FileTests {
    private let new = NewSession(
        tokens: TokenSet(accessToken: "access-token-to-find", refreshToken: "refresh"),
        userInfo: UserInfo(subject: "jane"))

    @Test("sessions, lists and tombstones survive closing and opening the file")
    func reopen() async throws {
        let folder = try ScratchFolder()
        defer { folder.remove() }
        let gone = SessionID()
        var store = try folder.open()
        let id = try await store.createSession(new)
        let session = try #require(try await store.session(for: id))
        try await store.deleteSession(gone, tombstoneUntil: Date().addingTimeInterval(600))
        try store.close()
        await #expect(throws: SessionStoreError.self) { try await store.session(for: id) }

        store = try folder.open()
        #expect(try await store.session(for: id) == session)
        #expect(try await store.sessions(ofUser: "jane").map(\.handle) == [id.handle])
        #expect(try await store.insertSession(session, for: gone) == false)
        try store.close()
    }

    @Test("what was confirmed is there after a crash")
    func crash() async throws {
        let (folder, copy) = (try ScratchFolder(), try ScratchFolder())
        defer {
            folder.remove()
            copy.remove()
        }
        let store = try folder.open()
        let (kept, ended) = (try await store.createSession(new), try await store.createSession(new))
        try await store.deleteSession(ended)
        // The files as they are while the store runs: all that a crash would leave.
        for suffix in ["", "-wal"] {
            try FileManager.default.copyItem(atPath: folder.path + suffix, toPath: copy.path + suffix)
        }
        let recovered = try copy.open()
        #expect(try await recovered.session(for: kept) != nil)
        #expect(try await recovered.session(for: ended) == nil)
        try recovered.close()
        try store.close()
    }

    @Test("only the owner can read the files")
    func mode() async throws {
        let folder = try ScratchFolder()
        defer { folder.remove() }
        let store = try folder.open()
        _ = try await store.createSession(new)
        for suffix in ["", "-wal", "-shm"] {
            let attributes = try FileManager.default.attributesOfItem(atPath: folder.path + suffix)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
        }
        try store.close()
    }

    @Test("a session that was plain is read, and sealed when it is written again")
    func sealing() async throws {
        let folder = try ScratchFolder()
        defer { folder.remove() }
        let plain = try folder.open()
        let id = try await plain.createSession(new)
        try plain.close()

        let keyring = try SessionKeyring(SessionKeyring.generateKey())
        let sealing = try folder.open(codec: RecordCodec(keyring: keyring))
        #expect(try await sealing.session(for: id) != nil)
        #expect(try await sealing.refreshSession(id, tokens: TokenSet(accessToken: "access-token-to-find")) != nil)
        #expect(try await sealing.sessions(ofUser: "jane").map(\.handle) == [id.handle])
        try sealing.close()

        let bytes = try Data(contentsOf: URL(filePath: folder.path))
        #expect(bytes.range(of: Data("access-token-to-find".utf8)) == nil)
        #expect(bytes.range(of: Data(id.secret.utf8)) == nil)
        let sealedOnly = try folder.open(codec: RecordCodec(keyring: keyring, acceptsPlain: false))
        #expect(try await sealedOnly.session(for: id) != nil)
        try sealedOnly.close()
    }

    @Test("an ended session leaves no token in the file")
    func erased() async throws {
        let folder = try ScratchFolder()
        defer { folder.remove() }
        let token = Data("access-token-to-find".utf8)
        for isEnded in [false, true] {
            let store = try folder.open()
            let id = try await store.createSession(new)
            if isEnded { _ = try await store.deleteAllSessions() }
            // Closing the last store brings what is in the log into the file, and removes the log.
            try store.close()
            #expect((try Data(contentsOf: URL(filePath: folder.path)).range(of: token) == nil) == isEnded, "\(id)")
        }
    }

    @Test("subjects that differ behind a NUL are two users")
    func nul() async throws {
        let folder = try ScratchFolder()
        defer { folder.remove() }
        let store = try folder.open()
        _ = try await store.createSession(
            NewSession(tokens: new.tokens, userInfo: UserInfo(subject: "jane\u{0}x")))
        #expect(try await store.sessionCount(ofUser: "jane") == 0)
        #expect(try await store.deleteSessions(ofUser: "jane", except: nil) == 0)
        #expect(try await store.sessionCount(ofUser: "jane\u{0}x") == 1)
        try store.close()
    }

    @Test("a full file refuses new sessions with an error, and still ends old ones")
    func full() async throws {
        let folder = try ScratchFolder()
        defer { folder.remove() }
        let store = try folder.open(maximumSize: 400_000)
        let large = NewSession(
            tokens: TokenSet(accessToken: String(repeating: "a", count: 50_000)), userInfo: UserInfo(subject: "jane"))
        var ids: [SessionID] = []
        await #expect {
            for _ in 0..<100 { ids.append(try await store.createSession(large)) }
        } throws: { ($0 as? SessionStoreError)?.code == .full }
        #expect(try await store.session(for: #require(ids.first)) != nil)
        #expect(try await store.deleteAllSessions() == ids.count)
        _ = try await store.createSession(large)
        try store.close()
    }

    @Test("what has ended by itself is removed")
    func removal() async throws {
        let folder = try ScratchFolder()
        defer { folder.remove() }
        let store = try folder.open(SessionPolicy(absoluteLifetime: .seconds(1)))
        let id = try await store.createSession(new)
        let session = Session(
            tokens: new.tokens, userInfo: new.userInfo, createdAt: Date(), expiresAt: Date().addingTimeInterval(600))
        let end = ContinuousClock.now + .seconds(10)
        while try await store.session(for: id) != nil, .now < end { try await Task.sleep(for: .milliseconds(20)) }
        // While its row is there, nothing is stored in its place.
        #expect(try await store.insertSession(session, for: id) == false)
        try await store.removeEnded()
        #expect(try await store.insertSession(session, for: id))
        try store.close()
    }
}
