internal import Glibc

/// The name of a user of this system, or else the number; without one the user whose process this
/// is.
public func userName(of user: UInt32? = nil) -> String {
    let number = user ?? geteuid()
    var entry = unsafe passwd()
    var found: UnsafeMutablePointer<passwd>?
    var buffer = [CChar](repeating: 0, count: 4096)
    // The name lies in the buffer.
    let name = unsafe buffer.withUnsafeMutableBufferPointer { buffer -> String? in
        guard let start = buffer.baseAddress,
            unsafe getpwuid_r(number, &entry, start, buffer.count, &found) == 0,
            unsafe found != nil, let name = unsafe entry.pw_name
        else { return nil }
        return unsafe String(cString: name)
    }
    return name ?? String(number)
}
