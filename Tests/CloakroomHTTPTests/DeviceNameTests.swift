import Cloakroom
import Testing

@testable import CloakroomHTTP

@Suite struct DeviceNameTests {
    @Test(
        "a user recognises a browser by its name",
        arguments: [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36",
                "Chrome on Windows"
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36 Edg/128.0.2739.42",
                "Edge on Windows"
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
                "Safari on macOS"
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
                "Safari on iPhone"
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/128.0.6613.34 Mobile/15E148 Safari/604.1",
                "Chrome on iPad"
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/129.0 Mobile/15E148 Safari/605.1.15",
                "Firefox on iPhone"
            ),
            ("Mozilla/5.0 (Android 14; Mobile; rv:129.0) Gecko/129.0 Firefox/129.0", "Firefox on Android"),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
                "Samsung Internet on Android"
            ),
            (
                "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36",
                "Chrome on ChromeOS"
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36 OPR/114.0.0.0",
                "Opera on Linux"
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/128.0.0.0 Safari/537.36",
                "Chrome on Linux"
            ),
            ("Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko", "Internet Explorer on Windows"),
            ("curl/8.5.0", "curl"), ("python-requests/2.32.3", "python-requests"),
            ("Mozilla/5.0 (X11; FreeBSD amd64)", "Unknown browser on FreeBSD"), ("Mozilla/5.0", "Unknown browser"),
            ("", "Unknown browser"), ("<script>alert(1)</script>", "Unknown browser"),
            ("a\u{202E}b/1", "Unknown browser"), ("é/1", "Unknown browser"), ("\r\nSet-Cookie: a", "Unknown browser"),
            (String(repeating: "a", count: 33), "Unknown browser"),
            (String(repeating: "a", count: 100_000), "Unknown browser"),
        ])
    func names(userAgent: String, name: String) {
        #expect(DeviceName.of(userAgent: userAgent) == name)
    }

    @Test("a browser that says nothing is an unknown one, and every name is short and plain")
    func bounds() {
        #expect(DeviceName.of(userAgent: nil) == "Unknown browser")
        for token in ["Firefox/", "curl/", "Linux", "é", "\u{0}", "Edg/ Android Windows Firefox/"] {
            let name = DeviceName.of(userAgent: String(repeating: token, count: 500))
            #expect(name.utf8.count <= 64 && name.allSatisfy { $0.isASCII })
        }
    }
}
