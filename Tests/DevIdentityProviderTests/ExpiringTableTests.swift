import Foundation
import Testing

@testable import DevIdentityProvider

@Suite("Development identity provider: bounded memory")
struct ExpiringTableTests {
    @Test("A record ends with its time")
    func expiry() {
        var table = ExpiringTable<Int>(capacity: 10)
        let now = Date()
        table.set("a", 1, expires: now.addingTimeInterval(10), now: now)
        #expect(table.value("a", now: now.addingTimeInterval(9)) == 1)
        #expect(table.value("a", now: now.addingTimeInterval(10)) == nil)
    }

    @Test("It never holds more than its capacity; the one that ends first makes room")
    func capacity() {
        var table = ExpiringTable<Int>(capacity: 10)
        let now = Date()
        for number in 0..<1000 {
            table.set("\(number)", number, expires: now.addingTimeInterval(Double(10 + number)), now: now)
            #expect(table.count <= 10)
        }
        #expect(table.value("999", now: now) == 999)
        #expect(table.value("0", now: now) == nil)
    }

    @Test("Ended records are dropped while others come")
    func sweep() {
        var table = ExpiringTable<Int>(capacity: 10_000)
        let now = Date()
        for number in 0..<500 {
            table.set("old\(number)", number, expires: now.addingTimeInterval(1), now: now)
        }
        let later = now.addingTimeInterval(2)
        for number in 0..<200 {
            table.set("new\(number)", number, expires: later.addingTimeInterval(1), now: later)
        }
        #expect(table.count <= 200)
    }
}
