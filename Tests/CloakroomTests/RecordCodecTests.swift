import Cloakroom
import Foundation
import TestSupport
import Testing

/// Every stored form, read and written; altered, moved and foreign records refused.
@Suite struct RecordCodecTests {
    private typealias Fixtures = RecordFixtures

    private let id: SessionID
    private let keyring: SessionKeyring
    private let expected: Session

    init() throws {
        id = try #require(SessionID(Fixtures.id))
        keyring = try SessionKeyring(Fixtures.key)
        expected = try PlainRecord.decode(Fixtures.plain)
    }

    private func decode(
        _ bytes: [UInt8], with codec: RecordCodec, id: SessionID? = nil, key: String = Fixtures.sealedPlace
    ) throws -> RecordCodec.Content {
        try bytes.withUnsafeBytes { try codec.decode($0, id: id ?? self.id, key: key) }
    }

    private func decodeSummary(
        _ bytes: [UInt8], with codec: RecordCodec, name: RecordName? = nil
    ) throws -> SessionSummary {
        try bytes.withUnsafeBytes { try codec.decodeSummary($0, name: name ?? .sealed(id), lastSeenAt: nil) }
    }

    private func reason(_ bytes: [UInt8], with codec: RecordCodec, key: String = Fixtures.sealedPlace) -> String? {
        #expect(throws: SessionRecordError.self) { try decode(bytes, with: codec, key: key) }?.description
    }

    @Test("records of every form that another implementation wrote open")
    func knownAnswers() throws {
        let codec = RecordCodec(keyring: keyring)
        #expect(expected.userInfo.preferredUsername == "zoë" && expected.providerSessionID == "idp-session-1")
        #expect(try decode(Fixtures.plain, with: codec, key: Fixtures.plainPlace) == .session(expected))
        #expect(try decode(Fixtures.gzip, with: codec, key: Fixtures.plainPlace) == .session(expected))
        #expect(try decode(Fixtures.sealed, with: codec) == .session(expected))
        #expect(try decode(Fixtures.sealedGzip, with: codec) == .session(expected))
        #expect(
            try decodeSummary(Fixtures.summary, with: codec)
                == SessionSummary(of: expected, handle: id.handle, lastSeenAt: nil))
    }

    @Test(
        "what is written is read again, in every form",
        arguments: [false, true], [nil, 0, 1 << 20])
    func roundTrip(seals: Bool, threshold: Int?) throws {
        let codec = RecordCodec(keyring: keyring, seals: seals, compressionThreshold: threshold)
        let key = "session:\(codec.name(for: id).text)"
        var session = expected
        session.tokens.accessToken = String(repeating: "token", count: 500)
        let record = try codec.encode(session, id: id, key: key)
        #expect(try decode(record, with: codec, key: key) == .session(session))
        #expect(record.first == (seals ? 0xC1 : threshold == 0 ? 0x1F : UInt8(ascii: "{")))
        #expect(record.count < PlainRecord.encode(session).count + 35 - (threshold == 0 ? 1000 : 0))
        if seals {
            let again = try codec.encode(session, id: id, key: key)
            #expect(again != record, "no nonce is used twice")
            #expect(String(decoding: record, as: UTF8.self).contains("tokentoken") == false)
        }
    }

    @Test("a record that does not shrink is left as it is")
    func incompressible() throws {
        let codec = RecordCodec(compressionThreshold: 0)
        let session = Session(
            tokens: TokenSet(accessToken: ""), userInfo: UserInfo(claims: [:]), createdAt: expected.createdAt,
            expiresAt: expected.expiresAt)
        var generator = SeededGenerator()
        for length in 0..<64 {
            var session = session
            session.tokens.accessToken = String(
                (0..<length).map { _ in Character(Unicode.Scalar(UInt8.random(in: 97...122, using: &generator))) })
            let record = try codec.encode(session, id: id, key: Fixtures.plainPlace)
            #expect(record.count <= PlainRecord.encode(session).count)
            #expect(try decode(record, with: codec, key: Fixtures.plainPlace) == .session(session))
        }
    }

    @Test("a session over the limit is refused, compressed or not")
    func tooLarge() throws {
        var session = expected
        session.tokens.accessToken = String(repeating: "a", count: PlainRecord.maximumSize)
        for threshold in [nil, 0] {
            let codec = RecordCodec(keyring: keyring, compressionThreshold: threshold)
            let error = #expect(throws: SessionStoreError.self) {
                try codec.encode(session, id: id, key: Fixtures.sealedPlace)
            }
            #expect(error?.code == .tooLarge)
        }
    }

    @Test("any bit that was flipped is noticed", arguments: [Fixtures.sealed, Fixtures.sealedGzip])
    func flippedBits(_ record: [UInt8]) {
        let codec = RecordCodec(keyring: keyring)
        for place in record.indices {
            for bit in 0..<8 {
                var altered = record
                altered[place] ^= 1 << UInt8(bit)
                #expect(throws: SessionRecordError.self) { try decode(altered, with: codec) }
            }
        }
        for place in Fixtures.summary.indices {
            var altered = Fixtures.summary
            altered[place] ^= 1 << UInt8(place % 8)
            #expect(throws: SessionRecordError.self) { try decodeSummary(altered, with: codec) }
        }
    }

    @Test("a flipped bit of a gzip never makes another session")
    func flippedBitsOfGzip() throws {
        let codec = RecordCodec()
        for place in Fixtures.gzip.indices {
            for bit in 0..<8 {
                var altered = Fixtures.gzip
                altered[place] ^= 1 << UInt8(bit)
                // Its header, and the end of its last block, have bits that mean nothing.
                let content = try? decode(altered, with: codec, key: Fixtures.plainPlace)
                #expect(content == nil || content == .session(expected))
            }
        }
    }

    @Test("a record cut off anywhere, or with more behind it, is refused")
    func cutOff() {
        let codec = RecordCodec(keyring: keyring)
        for record in [Fixtures.sealed, Fixtures.sealedGzip, Fixtures.gzip] {
            let key = record == Fixtures.gzip ? Fixtures.plainPlace : Fixtures.sealedPlace
            for length in 0..<record.count {
                #expect(throws: SessionRecordError.self) {
                    try decode(Array(record.prefix(length)), with: codec, key: key)
                }
            }
            for more in [[0], [UInt8](repeating: 0, count: 16), record] as [[UInt8]] {
                #expect(throws: SessionRecordError.self) { try decode(record + more, with: codec, key: key) }
            }
        }
        for length in 0..<Fixtures.summary.count {
            #expect(throws: SessionRecordError.self) {
                try decodeSummary(Array(Fixtures.summary.prefix(length)), with: codec)
            }
        }
    }

    @Test("a record opens under no other key of the store, with no other cookie, and as no other kind")
    func moved() throws {
        let codec = RecordCodec(keyring: keyring)
        let refusal = "altered, moved, or sealed for another session"
        let other = SessionID()
        let otherPlace = "session:\(RecordName.sealed(other).text)"
        #expect(reason(Fixtures.sealed, with: codec, key: otherPlace) == refusal)
        #expect(reason(Fixtures.sealed, with: codec, key: "") == refusal)
        for id in [other, SessionID(Fixtures.id.lowercased()), SessionID(Fixtures.id + "x")].compactMap({ $0 }) {
            #expect(throws: SessionRecordError(refusal)) { try decode(Fixtures.sealed, with: codec, id: id) }
        }
        #expect(throws: SessionRecordError(refusal)) {
            try decodeSummary(Fixtures.summary, with: codec, name: .sealed(other))
        }
        #expect(throws: SessionRecordError.self) { try decode(Fixtures.summary, with: codec) }
        #expect(throws: SessionRecordError.self) { try decodeSummary(Fixtures.sealed, with: codec) }
        var disguised = Fixtures.summary
        disguised[1] = Fixtures.sealed[1]
        #expect(throws: SessionRecordError(refusal)) { try decode(disguised, with: codec) }
    }

    @Test("what is not sealed opens in its own place only, never in a sealed one's")
    func plainInSealedPlace() throws {
        for codec in [RecordCodec(keyring: keyring), RecordCodec(keyring: keyring, seals: false), RecordCodec()] {
            for record in [Fixtures.plain, Fixtures.gzip] {
                #expect(try decode(record, with: codec, key: Fixtures.plainPlace) == .session(expected))
                #expect(throws: SessionRecordError.self) { try decode(record, with: codec) }
            }
        }
    }

    @Test("keys rotate: an older key opens for as long as it is in the keyring")
    func rotation() throws {
        let rotated = RecordCodec(keyring: try SessionKeyring("\(Fixtures.key),\(Fixtures.olderKey)"))
        #expect(try decode(Fixtures.sealedWithOlderKey, with: rotated) == .session(expected))
        #expect(try decode(Fixtures.sealed, with: rotated) == .session(expected))
        let record = try rotated.encode(expected, id: id, key: Fixtures.sealedPlace)
        #expect(try decode(record, with: RecordCodec(keyring: keyring)) == .session(expected), "the first key seals")
        #expect(
            reason(Fixtures.sealedWithOlderKey, with: RecordCodec(keyring: keyring))
                == "sealed with key \(Fixtures.olderKeyID), which the keyring lacks")
        #expect(reason(Fixtures.sealed, with: RecordCodec()) == "sealed, and no key is configured")
        let opening = RecordCodec(keyring: keyring, seals: false)
        #expect(try decode(Fixtures.sealed, with: opening) == .session(expected))
        #expect(opening.names(for: id) == [.plain(id), .sealed(id)])
    }

    @Test("a tombstone is one in every place, and only to the letter")
    func tombstone() throws {
        for codec in [RecordCodec(), RecordCodec(keyring: keyring)] {
            for key in [Fixtures.sealedPlace, Fixtures.plainPlace] {
                #expect(try decode(RecordCodec.tombstone, with: codec, key: key) == .tombstone)
            }
        }
        #expect(throws: SessionRecordError.self) {
            try decode(Array(#"{"ended":null}"#.utf8), with: RecordCodec(), key: Fixtures.plainPlace)
        }
    }

    @Test("a summary is written as it is read, holds no token, and needs a keyring")
    func summary() throws {
        let codec = RecordCodec(keyring: keyring)
        let record = codec.encodeSummary(expected, name: .sealed(id))
        let seen = Date(timeIntervalSince1970: 1_705_320_000)
        let summary = try record.withUnsafeBytes { try codec.decodeSummary($0, name: .sealed(id), lastSeenAt: seen) }
        #expect(summary == SessionSummary(of: expected, handle: id.handle, lastSeenAt: seen))
        let anonymous = Session(
            tokens: TokenSet(accessToken: "a"), userInfo: UserInfo(claims: [:]), createdAt: expected.createdAt,
            expiresAt: expected.expiresAt)
        let read = try decodeSummary(codec.encodeSummary(anonymous, name: .sealed(id)), with: codec)
        #expect(read.subject == nil && read.userName == nil && read.providerSession == nil)
        #expect(RecordCodec().encodeSummary(expected, name: .sealed(id)).isEmpty)
        #expect(throws: SessionRecordError.self) { try decodeSummary(record, with: RecordCodec()) }
    }

    @Test("no bytes at all make it fail otherwise than with an error")
    func noise() {
        let codec = RecordCodec(keyring: keyring)
        var generator = SeededGenerator()
        for _ in 0..<5000 {
            var noise = (0..<Int.random(in: 0...80, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            if Bool.random(using: &generator), noise.count > 1 {
                noise.replaceSubrange(0..<2, with: Bool.random(using: &generator) ? [0x1F, 0x8B] : [0xC1, 0x01])
            }
            #expect(throws: SessionRecordError.self) { try decode(noise, with: codec, key: Fixtures.plainPlace) }
            #expect(throws: SessionRecordError.self) { try decodeSummary(noise, with: codec) }
        }
    }
}
