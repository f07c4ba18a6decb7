import Cloakroom
import Testing

@Suite struct SessionKeyringTests {
    private typealias Fixtures = RecordFixtures

    @Test("keys are separated by commas and white space, and the first seals")
    func reads() throws {
        for text in [
            "\(Fixtures.key),\(Fixtures.olderKey)", " \(Fixtures.key)\n\t\(Fixtures.olderKey) ",
            "\(Fixtures.key) , \(Fixtures.olderKey),",
        ] {
            #expect(try SessionKeyring(text).keyIDs == [Fixtures.keyID, Fixtures.olderKeyID])
        }
    }

    @Test("generated keys are keys, each another")
    func generates() throws {
        let keys = (0..<32).map { _ in SessionKeyring.generateKey() }
        #expect(Set(keys).count == 32)
        #expect(keys.allSatisfy { $0.utf8.count == 48 && $0.hasPrefix("crk1_") })
        #expect(try SessionKeyring(keys.joined(separator: ",")).keyIDs.count == 32)
    }

    @Test(
        "what is no keyring is refused, with the number of the key and no part of it",
        arguments: [
            ("", "there is no key"), (" ,\n,", "there is no key"),
            ("s3cret", "key 1 does not begin"), ("crk1_s3cret", "key 1 is damaged"),
            ("\(RecordFixtures.key),crk1_s3cret", "key 2 is damaged"),
            ("\(RecordFixtures.key),CRK1_\(RecordFixtures.olderKey.dropFirst(5))", "key 2 does not begin"),
            ("\(RecordFixtures.key)A", "key 1 is damaged"), (String(RecordFixtures.key.dropLast()), "key 1 is damaged"),
            ("\(RecordFixtures.key)=", "key 1 is damaged"),
            // Its last character has two bits that mean nothing.
            ("\(RecordFixtures.key.dropLast())9", "key 1 is damaged"),
            ("\(RecordFixtures.key.dropLast())+", "key 1 is damaged"),
            ("\(RecordFixtures.olderKey),\(RecordFixtures.key) \(RecordFixtures.olderKey)", "key 3 is key 1 once more"),
            (RecordFixtures.sameID.joined(separator: ","), "key 2 has the same ID as key 1"),
        ])
    func refuses(_ text: String, _ problem: String) {
        let error = #expect(throws: SessionKeyringError.self) { try SessionKeyring(text) }
        #expect(error?.description.hasPrefix(problem) == true)
        #expect(error?.description.contains("s3cret") == false)
        for word in text.split(whereSeparator: { $0 == "," || $0.isWhitespace }) where word.utf8.count > 8 {
            #expect(error?.description.contains(word.dropFirst(5).prefix(8)) == false)
        }
    }

    @Test("33 keys are too many")
    func tooMany() {
        let keys = (0..<33).map { _ in SessionKeyring.generateKey() }
        let error = #expect(throws: SessionKeyringError.self) { try SessionKeyring(keys.joined(separator: ",")) }
        #expect(error?.description == "there are 33 keys; 32 are the most")
    }

    @Test("a keyring shows the IDs of its keys and nothing else of them")
    func shows() throws {
        let keyring = try SessionKeyring(Fixtures.key)
        var dumped = ""
        dump(keyring, to: &dumped)
        for text in ["\(keyring)", String(reflecting: keyring), dumped] {
            #expect(text.contains(Fixtures.keyID) && !text.contains(Fixtures.key.dropFirst(5).prefix(8)))
        }
        #expect("\(keyring)" == "SessionKeyring(keyIDs: \(Fixtures.keyID))")
    }
}
