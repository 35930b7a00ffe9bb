internal import Glibc

/// Now as RFC 3339 in UTC, with milliseconds.
package func timestamp() -> String {
    var now = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &now)
    var seconds = now.tv_sec
    var parts = unsafe tm()
    _ = unsafe gmtime_r(&seconds, &parts)
    func digits(_ number: Int, _ count: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }
    let date = [
        unsafe digits(Int(parts.tm_year) + 1900, 4), unsafe digits(Int(parts.tm_mon) + 1, 2),
        unsafe digits(Int(parts.tm_mday), 2),
    ].joined(separator: "-")
    let time = [
        unsafe digits(Int(parts.tm_hour), 2), unsafe digits(Int(parts.tm_min), 2),
        unsafe digits(Int(parts.tm_sec), 2),
    ].joined(separator: ":")
    return "\(date)T\(time).\(digits(now.tv_nsec / 1_000_000, 3))Z"
}
