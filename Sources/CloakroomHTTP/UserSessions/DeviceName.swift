/// A name by which a user recognises a browser, such as "Firefox on Linux", from what it says of itself (`User-Agent`).
///
/// Good enough for a list; not proof of anything, as a client says what it likes. The names of browsers and systems are ours.
/// A program's own name is shown as it comes, in a bounded safe alphabet.
enum DeviceName {
    static let unknown = "Unknown browser"
    private static let maximumProgramLength = 32

    /// What stands in the user agents of browsers. The first that is found counts: most name others too, as Chrome names Safari.
    private static let browsers: [(token: String, name: String)] = [
        ("Edg/", "Edge"), ("EdgA/", "Edge"), ("EdgiOS/", "Edge"), ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Vivaldi/", "Vivaldi"), ("YaBrowser/", "Yandex Browser"), ("DuckDuckGo/", "DuckDuckGo"),
        ("Ddg/", "DuckDuckGo"),
        ("FxiOS/", "Firefox"), ("CriOS/", "Chrome"), ("Firefox/", "Firefox"), ("Chromium/", "Chromium"),
        ("Chrome/", "Chrome"), ("Safari/", "Safari"), ("MSIE ", "Internet Explorer"), ("Trident/", "Internet Explorer"),
    ]

    private static let systems: [(token: String, name: String)] = [
        ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("CrOS", "ChromeOS"), ("Windows", "Windows"),
        ("Macintosh", "macOS"), ("Mac OS X", "macOS"), ("FreeBSD", "FreeBSD"), ("Linux", "Linux"), ("X11", "Unix"),
    ]

    /// - Parameter userAgent: the field's value, of any length.
    static func of(userAgent: String?) -> String {
        guard let userAgent else { return unknown }
        let text = String(decoding: userAgent.utf8.prefix(512), as: UTF8.self)
        let system = systems.first { text.contains($0.token) }?.name
        if let browser = browsers.first(where: { text.contains($0.token) })?.name {
            return system.map { "\(browser) on \($0)" } ?? browser
        }
        if let program = program(text), program != "Mozilla" { return program }
        return system.map { "\(unknown) on \($0)" } ?? unknown
    }

    /// The first product (RFC 9110 §10.1.5), such as `curl`.
    private static func program(_ text: String) -> String? {
        let name = text.utf8.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: " ") }
        let isSafe = name.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                true
            default: false
            }
        }
        guard isSafe, !name.isEmpty, name.count <= maximumProgramLength else { return nil }
        return String(decoding: name, as: UTF8.self)
    }
}
