import Crypto

import struct Foundation.Data

/// The sealed stored form: AES-256-GCM over another form. Frozen, as it outlives the version that wrote it.
///
/// ```
/// 0xC1 · kind, 1 byte · key ID, 4 bytes · nonce, 12 bytes · ciphertext · tag, 16 bytes
/// ```
/// No JSON text in UTF-8 and no gzip begins with 0xC1. Bound in as associated data are a label, the place where the record
/// stands, and the first six bytes; so a record that was moved elsewhere, or passed off as another kind, is refused.
enum SealedRecord {
    /// What is sealed, and in which version of its form.
    enum Kind: UInt8 {
        /// A session; takes the keyring and the session's ID to open.
        case session = 0x01
        /// What lists need; takes the keyring alone.
        case summary = 0x81
    }

    static let magic: UInt8 = 0xC1
    /// How many bytes sealing adds.
    static let overhead = headerSize + nonceSize + tagSize

    private static let headerSize = 6
    private static let nonceSize = 12
    private static let tagSize = 16
    private static let label = Array("cloakroom v1 sealed\0".utf8)

    /// - Parameters:
    ///   - key: picks the key to seal with from one of the keyring.
    ///   - place: where the record will stand.
    static func seal(
        _ plain: [UInt8], as kind: Kind, with keyring: SessionKeyring, place: String, key: (SealingKey) -> SymmetricKey
    ) throws(SessionRecordError) -> [UInt8] {
        let sealingKey = keyring.sealingKey
        let id = sealingKey.id.bigEndian
        var sealed: [UInt8] = [magic, kind.rawValue]
        sealed.reserveCapacity(plain.count + overhead)
        withUnsafeBytes(of: id) { sealed.append(contentsOf: $0) }
        let box: AES.GCM.SealedBox
        do {
            box = try AES.GCM.seal(
                plain, using: key(sealingKey), authenticating: associatedData(header: sealed, place: place))
        } catch {
            throw SessionRecordError("sealing failed")
        }
        sealed.append(contentsOf: box.nonce)
        sealed.append(contentsOf: box.ciphertext)
        sealed.append(contentsOf: box.tag)
        return sealed
    }

    /// - Parameters:
    ///   - raw: begins with ``magic``.
    ///   - key: picks the key to open with from the one of the keyring that the record names.
    static func open(
        _ raw: UnsafeRawBufferPointer, as kind: Kind, with keyring: SessionKeyring?, place: String,
        key: (SealingKey) -> SymmetricKey
    ) throws(SessionRecordError) -> Data {
        guard let keyring else { throw SessionRecordError("sealed, and no key is configured") }
        guard raw.count >= overhead else { throw SessionRecordError("sealed, and cut off") }
        guard raw[1] == kind.rawValue else { throw SessionRecordError("sealed in a form that is unknown here") }
        let id = UInt32(bigEndian: raw.loadUnaligned(fromByteOffset: 2, as: UInt32.self))
        guard let sealingKey = keyring.key(withID: id) else {
            throw SessionRecordError("sealed with key \(SealingKey.text(ofID: id)), which the keyring lacks")
        }
        let header = UnsafeRawBufferPointer(rebasing: raw[..<headerSize])
        do {
            let box = try AES.GCM.SealedBox(combined: UnsafeRawBufferPointer(rebasing: raw[headerSize...]))
            return try AES.GCM.open(
                box, using: key(sealingKey), authenticating: associatedData(header: header, place: place))
        } catch {
            throw SessionRecordError("altered, moved, or sealed for another session")
        }
    }

    private static func associatedData(header: some Collection<UInt8>, place: String) -> [UInt8] {
        var data: [UInt8] = []
        data.reserveCapacity(label.count + place.utf8.count + headerSize)
        data.append(contentsOf: label)
        data.append(contentsOf: place.utf8)
        data.append(contentsOf: header)
        return data
    }
}
