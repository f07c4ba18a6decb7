import Cloakroom
import Testing

@Suite struct JSONTests {
    private func parse(_ text: String) throws -> JSONValue { try JSONValue(parsing: Array(text.utf8)) }

    @Test(
        "what is read is written back as it was",
        arguments: [
            #"{"b":1,"a":[true,false,null,"x"],"z":{"deep":{"er":[]}}}"#,
            #"[0,-0,1.10,1e5,-1.5E+300,123456789012345678901234567890]"#,
            #""Zoë ☕️ \" \\ \n\r\t\u0000\u001f""#,
            "{}", "[]", "null", #""""#,
        ])
    func roundTrip(_ text: String) throws {
        #expect(String(decoding: try parse(text).serialized, as: UTF8.self) == text)
    }

    @Test func escapes() throws {
        #expect(try parse(#""\u00e9\/\b\f\ud83d\ude00""#) == "é/\u{8}\u{c}😀")
        #expect(try parse(" \t\r\n[ 1 , 2 ] ") == [1, 2])
    }

    @Test(
        "what is not JSON is refused",
        arguments: [
            "", " ", "{", "[1,", "[1,]", #"{"a"}"#, #"{"a":}"#, #"{a:1}"#, #"{"a":1,}"#, "nul", "truex", "01", "1.",
            ".5", "-", "1e",
            "+1", "NaN", #""abc"#, #""\x""#, #""\u12""#, #""\ud800""#, #""\udc00""#, #""\ud800\u0041""#, "\"\u{1}\"",
            "1 2", "[1}",
            #"{"tokens":{"access_to"#, "\u{FEFF}{}", "{}\u{0}", "\u{A0}1", #""\ud83d\ud83d""#, #""\u+123""#, "1e+",
            "--1", "0x1",
        ])
    func malformed(_ text: String) {
        #expect(throws: JSONParsingError.self) { try parse(text) }
    }

    @Test func invalidUTF8() {
        #expect(throws: JSONParsingError.self) { try JSONValue(parsing: [0x22, 0xFF, 0xFE, 0x22]) }
        #expect(throws: JSONParsingError.self) { try JSONValue(parsing: [0x22, 0x5C, 0x6E, 0xC3, 0x22]) }
    }

    @Test("nesting is bounded, however deep the text")
    func nesting() throws {
        let depth = JSONValue.maximumDepth
        _ = try parse(String(repeating: "[", count: depth) + String(repeating: "]", count: depth))
        for text in [String(repeating: "[", count: 100_000), String(repeating: #"{"a":"#, count: 100_000)] {
            #expect(throws: JSONParsingError.self) { try parse(text) }
        }
    }

    @Test("of members with one name the last wins, few or many")
    func repeatedMembers() throws {
        #expect(try parse(#"{"a":1,"b":2,"a":3}"#) == ["a": 3, "b": 2])
        let many = (0..<50_000).map { #""k\#($0 % 25000)":\#($0)"# }.joined(separator: ",")
        let object = try #require(try parse("{\(many)}").object)
        #expect(object.members.count == 25_000 && object["k7"]?.integer == 25_007)
    }

    @Test func integers() {
        #expect(JSONValue.number("300").integer == 300 && JSONValue.number("300.0").integer == 300)
        #expect(JSONValue.number("3e2").integer == 300 && JSONValue.number("1e999").integer == nil)
        #expect(JSONValue.string("300").integer == nil)
    }

    @Test("an error names the place, never the content")
    func errors() {
        let error = #expect(throws: JSONParsingError.self) { try parse(#"{"token": s3cret}"#) }
        #expect(error?.offset == 10 && error.map { !"\($0)".contains("s3cret") } == true)
    }
}
