package import struct Foundation.Date

/// The times of the stored form: UTC, `2024-01-15T10:30:00`.
///
/// Other programs write them with a fraction, with `Z` or with an offset (RFC 3339); all of these are read.
package enum Timestamp {
    /// The last second of the year 9999.
    private static let latest = 253_402_300_799.0

    /// Writes whole seconds without a suffix. A time outside the years 1970 to 9999, which could not be read again, becomes
    /// the nearest within.
    package static func format(_ date: Date) -> String {
        let seconds = Int(Double.minimum(Double.maximum(date.timeIntervalSince1970, 0), latest).rounded(.down))
        let (days, rest) = seconds.quotientAndRemainder(flooredBy: 86_400)
        let (year, month, day) = civil(fromDays: days)
        var out = [UInt8]()
        out.reserveCapacity(19)
        append(year, width: 4, to: &out)
        out.append(UInt8(ascii: "-"))
        append(month, width: 2, to: &out)
        out.append(UInt8(ascii: "-"))
        append(day, width: 2, to: &out)
        out.append(UInt8(ascii: "T"))
        append(rest / 3600, width: 2, to: &out)
        out.append(UInt8(ascii: ":"))
        append(rest / 60 % 60, width: 2, to: &out)
        out.append(UInt8(ascii: ":"))
        append(rest % 60, width: 2, to: &out)
        return String(decoding: out, as: UTF8.self)
    }

    /// Reads a time; `nil` when the text is not one between the years 1970 and 9999.
    package static func parse(_ text: String) -> Date? {
        var reader = Reader(text.utf8)
        guard text.utf8.count <= 64,
            let year = reader.digits(4), year >= 1970, reader.skip("-"),
            let month = reader.digits(2), (1...12).contains(month), reader.skip("-"),
            let day = reader.digits(2), (1...daysIn(month: month, year: year)).contains(day),
            reader.skip("T") || reader.skip("t") || reader.skip(" "),
            let hour = reader.digits(2), hour < 24, reader.skip(":"),
            let minute = reader.digits(2), minute < 60, reader.skip(":"),
            let second = reader.digits(2), second <= 60
        else { return nil }
        var fraction = 0.0
        if reader.skip(".") || reader.skip(",") {
            guard let parsed = reader.fraction() else { return nil }
            fraction = parsed
        }
        guard let offset = reader.offset(), reader.isAtEnd else { return nil }
        let days = self.days(fromCivil: year, month, day)
        let seconds = Double(days * 86_400 + hour * 3600 + minute * 60 + second - offset) + fraction
        // An offset or a leap second may lead out of the years.
        guard seconds >= 0, seconds < latest + 1 else { return nil }
        return Date(timeIntervalSince1970: seconds)
    }

    private static func append(_ number: Int, width: Int, to out: inout [UInt8]) {
        var divisor = 1
        for _ in 1..<width { divisor *= 10 }
        while divisor > 0 {
            out.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / divisor % 10))
            divisor /= 10
        }
    }

    private static func daysIn(month: Int, year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    // Both conversions count from 1 March, so that the leap day is the last of its year and months follow one formula.

    private static func days(fromCivil year: Int, _ month: Int, _ day: Int) -> Int {
        let shifted = month > 2 ? year : year - 1
        let (era, yearOfEra) = shifted.quotientAndRemainder(flooredBy: 400)
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// The civil date of a count of days since 1 January 1970.
    package static func civil(fromDays days: Int) -> (year: Int, month: Int, day: Int) {
        let (era, dayOfEra) = (days + 719_468).quotientAndRemainder(flooredBy: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    private struct Reader {
        private var rest: Substring.UTF8View

        init(_ text: String.UTF8View) { rest = text[...] }

        var isAtEnd: Bool { rest.isEmpty }

        mutating func skip(_ character: Unicode.Scalar) -> Bool {
            guard rest.first == UInt8(ascii: character) else { return false }
            rest.removeFirst()
            return true
        }

        mutating func digits(_ count: Int) -> Int? {
            var value = 0
            for _ in 0..<count {
                guard let digit = digit() else { return nil }
                value = value * 10 + digit
            }
            return value
        }

        mutating func fraction() -> Double? {
            var scale = 1.0
            var value = 0.0
            while let digit = digit() {
                scale /= 10
                value += Double(digit) * scale
            }
            return scale < 1 ? value : nil
        }

        /// Seconds east of UTC; none written means UTC.
        mutating func offset() -> Int? {
            if isAtEnd || skip("Z") || skip("z") { return 0 }
            let sign: Int
            if skip("+") { sign = 1 } else if skip("-") { sign = -1 } else { return nil }
            guard let hours = digits(2), hours < 24 else { return nil }
            _ = skip(":")
            guard let minutes = digits(2), minutes < 60 else { return nil }
            return sign * (hours * 3600 + minutes * 60)
        }

        private mutating func digit() -> Int? {
            guard let byte = rest.first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            rest.removeFirst()
            return Int(byte - UInt8(ascii: "0"))
        }
    }
}

extension Int {
    fileprivate func quotientAndRemainder(flooredBy divisor: Int) -> (Int, Int) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
