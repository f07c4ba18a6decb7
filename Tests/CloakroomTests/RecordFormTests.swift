import Foundation
import Testing

@testable import Cloakroom

@Suite struct RecordFormTests {
    @Test("A stored value is recognised by its first bytes, and a sealed one tells its key's ID")
    func forms() throws {
        let keyring = try SessionKeyring(SessionKeyring.generateKey())
        let id = SessionID()
        let session = Session(
            tokens: TokenSet(accessToken: "a"), userInfo: UserInfo(subject: "s"),
            createdAt: .init(timeIntervalSince1970: 0),
            expiresAt: .init(timeIntervalSince1970: 60))
        let sealed = try RecordCodec(keyring: keyring).encode(session, id: id, key: "k")
        let plain = try RecordCodec().encode(session, id: id, key: "k")
        func form(_ bytes: [UInt8]) -> RecordForm { RecordForm(prefix: Array(bytes.prefix(RecordForm.prefixLength))) }
        #expect(form(sealed) == .sealed(keyID: keyring.keyIDs[0]))
        #expect(form(plain) == .plain && form([0x1F, 0x8B, 8]) == .plain && form(Array(" \n{".utf8)) == .plain)
        #expect(form(RecordCodec.tombstone) == .ended)
        #expect(form([]) == .unknown && form([0xC1, 0x01]) == .unknown && form(Array("hello".utf8)) == .unknown)
        let summary = RecordCodec(keyring: keyring).encodeSummary(session, name: .sealed(id))
        #expect(form(summary) == .unknown)
        for (bytes, isSession) in [(sealed, true), (plain, true), (Array(#"{"cookie":1}"#.utf8), false), ([], false)] {
            #expect(RecordForm.isLikelySession(prefix: Array(bytes.prefix(RecordForm.prefixLength))) == isSession)
        }
    }
}
