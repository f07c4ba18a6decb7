import CloakroomHTTP
import Testing

@Suite struct ClientScriptTests {
    @Test("the script for pages is at most 4 KiB, needs nothing else, and names no secret")
    func size() {
        let text = ClientScript.text
        #expect(text.utf8.count <= 4096)
        #expect(!text.contains("import ") && !text.contains("http:") && !text.contains("document.cookie"))
    }
}
