import Cloakroom
import Foundation
import NIOCore

/// The `Date` field, made once a second (RFC 9110 §5.6.7, §6.6.1).
final class DateField {
    private var bytes: [UInt8] = []
    private var until = NIODeadline.uptimeNanoseconds(0)

    func write(into out: inout ByteBuffer) {
        let now = NIODeadline.now()
        if now >= until {
            bytes = Self.field(Date())
            until = now + .seconds(1)
        }
        out.writeBytes(bytes)
    }

    static func field(_ date: Date) -> [UInt8] {
        let seconds = Int(date.timeIntervalSince1970.rounded(.down))
        let (days, time) = seconds.quotientAndRemainder(dividingBy: 86_400)
        let (year, month, day) = Timestamp.civil(fromDays: days)
        let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let clock = "\(two(time / 3600)):\(two(time / 60 % 60)):\(two(time % 60))"
        return Array("Date: \(weekdays[days % 7]), \(two(day)) \(months[month - 1]) \(year) \(clock) GMT\r\n".utf8)
    }
}
