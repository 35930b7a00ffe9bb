/// Times as RFC 3339 says, in UTC with milliseconds.
enum TimeText {
    static func text(milliseconds: Int64) -> String {
        let days = floor(milliseconds, 86_400_000)
        let rest = milliseconds - days * 86_400_000
        let (year, month, day) = date(days)
        func padded(_ number: Int64, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let seconds = rest / 1000
        return padded(year, 4) + "-" + padded(month, 2) + "-" + padded(day, 2) + "T"
            + padded(seconds / 3600, 2) + ":" + padded(seconds / 60 % 60, 2) + ":"
            + padded(seconds % 60, 2) + "." + padded(rest % 1000, 3) + "Z"
    }

    private static func floor(_ number: Int64, _ divisor: Int64) -> Int64 {
        number >= 0 ? number / divisor : -((divisor - 1 - number) / divisor)
    }

    /// The Gregorian date so many days after 1970-01-01 (Howard Hinnant's `civil_from_days`).
    private static func date(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = floor(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let year = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * year + year / 4 - year / 100)
        let month = (5 * dayOfYear + 2) / 153
        let isEarly = month >= 10
        return (
            year + era * 400 + (isEarly ? 1 : 0), isEarly ? month - 9 : month + 3,
            dayOfYear - (153 * month + 2) / 5 + 1
        )
    }

    /// The days from 1970-01-01 to a date.
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = floor(shifted, 400)
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
            - 719_468
    }

    /// Microseconds since 1970, or nil when the text is no such time.
    static func microseconds(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        func number(_ range: Range<Int>) -> Int64? {
            guard range.upperBound <= bytes.count,
                bytes[range].allSatisfy({ (0x30...0x39).contains($0) })
            else { return nil }
            return Int64(String(decoding: bytes[range], as: UTF8.self))
        }
        guard bytes.count >= 20, bytes[4] == 0x2D, bytes[7] == 0x2D,
            bytes[10] | 0x20 == 0x74 || bytes[10] == 0x20, bytes[13] == 0x3A, bytes[16] == 0x3A,
            let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
            let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
            (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 61
        else { return nil }
        let days = days(year, month, day)
        // A day that the month does not have would become one of the next month.
        guard date(days).day == day else { return nil }
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second
        var place = 19
        var fraction: Int64 = 0
        if place < bytes.count, bytes[place] == 0x2E {
            place += 1
            var unit: Int64 = 100_000
            let start = place
            while place < bytes.count, (0x30...0x39).contains(bytes[place]) {
                fraction += Int64(bytes[place] - 0x30) * unit
                unit /= 10
                place += 1
            }
            if place == start { return nil }
        }
        guard let offset = zone(bytes[place...]) else { return nil }
        return (seconds - offset) * 1_000_000 + fraction
    }

    /// Seconds east of UTC.
    private static func zone(_ bytes: ArraySlice<UInt8>) -> Int64? {
        let text = String(decoding: bytes, as: UTF8.self)
        if text == "Z" || text == "z" { return 0 }
        guard text.count == 6, let sign = text.first, sign == "+" || sign == "-",
            let hours = Int64(text.dropFirst().prefix(2)), let minutes = Int64(text.suffix(2)),
            hours < 24, minutes < 60, text.dropFirst(3).first == ":"
        else { return nil }
        return (sign == "-" ? -1 : 1) * (hours * 3600 + minutes * 60)
    }
}

/// Times in answers and arguments of verbs.
package enum ControlTime {
    /// RFC 3339 in UTC with milliseconds.
    package static func text(microseconds: Int64) -> String {
        TimeText.text(milliseconds: microseconds / 1000)
    }

    /// Microseconds since 1970, or nil when the text is no RFC 3339 time.
    package static func microseconds(_ text: String) -> Int64? { TimeText.microseconds(text) }
}
