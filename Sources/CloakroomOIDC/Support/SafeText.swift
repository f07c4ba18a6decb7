extension String {
    /// Whether these are visible ASCII characters alone, so that a header or a URL can hold them.
    var isVisibleASCII: Bool { utf8.allSatisfy { (0x21...0x7E).contains($0) } }

    /// Whether there is a control character, which would break lines in logs and headers.
    var hasControlCharacters: Bool {
        unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) }
    }
}

/// An error code that a stranger sent, if it is fit for a log: the codes that OAuth and OpenID Connect define all are.
func safeErrorCode(_ code: String?) -> String {
    guard let code, (1...64).contains(code.utf8.count) else { return "an unknown error" }
    let isSafe = code.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"):
            true
        default: false
        }
    }
    return isSafe ? code : "an unknown error"
}
