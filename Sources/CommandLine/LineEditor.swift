import CEditline
import Glibc
import Synchronization

/// Reads lines on a terminal, with history and completion; a face of libedit.
///
/// There is one at a time: a signal and the callbacks of libedit have to find it.
@safe
final class LineEditor {
    /// What became of a line.
    enum Outcome {
        case line(String)
        /// Ctrl-C: the line is dropped.
        case interrupted
        /// Ctrl-D on an empty line.
        case end
    }

    private static let wasInterrupted = Atomic<Bool>(false)

    private let complete: (String) -> [String]
    private let idle: () -> [String]
    private let historyPath: String
    private var editor: OpaquePointer?
    private let history: OpaquePointer?
    private var prompt: UnsafeMutablePointer<CChar>?

    /// Opens the terminal; `idle` is asked now and then for lines to show above the prompt.
    init?(
        historyPath: String, complete: @escaping (String) -> [String],
        idle: @escaping () -> [String]
    ) {
        self.historyPath = historyPath
        self.complete = complete
        self.idle = idle
        unsafe history = tw_history_create(historyPath)
        unsafe editor = nil
        let client = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe editor = tw_editor_create(
            client, promptOfEditor, readOfEditor, completeOfEditor, history)
        guard unsafe editor != nil else { return nil }
        signal(SIGINT) { _ in LineEditor.wasInterrupted.store(true, ordering: .relaxed) }
    }

    deinit {
        if let editor = unsafe editor { unsafe el_end(editor) }
        if let history = unsafe history { unsafe history_end(history) }
        unsafe free(prompt)
    }

    /// Reads one line.
    func read(prompt text: String) -> Outcome {
        unsafe free(prompt)
        unsafe prompt = strdup(text)
        Self.wasInterrupted.store(false, ordering: .relaxed)
        var count: Int32 = 0
        guard let line = unsafe el_gets(editor, &count), count > 0 else {
            guard Self.wasInterrupted.exchange(false, ordering: .relaxed) else { return .end }
            unsafe el_reset(editor)
            writeOutput("^C\n")
            return .interrupted
        }
        var read = unsafe String(cString: line)
        while read.hasSuffix("\n") || read.hasSuffix("\r") { read.removeLast() }
        return .line(read)
    }

    /// Puts a line into the history and its file.
    func remember(_ line: String) {
        guard !line.isEmpty, let history = unsafe history else { return }
        unsafe tw_history_add(history, line)
        unsafe tw_history_save(history, historyPath)
    }

    fileprivate var promptText: UnsafeMutablePointer<CChar>? { unsafe prompt }

    /// The next character; meanwhile what `idle` has to say is shown.
    fileprivate func nextCharacter() -> wchar_t? {
        while true {
            var input = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
            let ready = unsafe poll(&input, 1, 20)
            if Self.wasInterrupted.load(ordering: .relaxed) { return nil }
            if ready < 0 && errno != EINTR { return nil }
            if ready > 0 { return readCharacter() }
            let lines = idle()
            if lines.isEmpty { continue }
            writeOutput("\n" + lines.map { $0 + "\n" }.joined())
            unsafe tw_editor_refresh(editor)
        }
    }

    private func readCharacter() -> wchar_t? {
        guard let first = readByte() else { return nil }
        let length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
        var bytes = [first]
        while bytes.count < length, let next = readByte() { bytes.append(next) }
        let scalar = String(decoding: bytes, as: UTF8.self).unicodeScalars.first
        return scalar.map { wchar_t(bitPattern: $0.value) }
    }

    private func readByte() -> UInt8? {
        var byte: UInt8 = 0
        while true {
            let count = unsafe Glibc.read(0, &byte, 1)
            if count == 1 { return byte }
            if count < 0 && errno == EINTR && !Self.wasInterrupted.load(ordering: .relaxed) {
                continue
            }
            return nil
        }
    }

    /// Completes the word before the cursor; returns what libedit has to do next.
    fileprivate func completeWord() -> UInt8 {
        guard let info = unsafe el_line(editor) else { return UInt8(CC_ERROR) }
        let length = unsafe info.pointee.cursor - info.pointee.buffer
        let bytes = unsafe UnsafeRawBufferPointer(start: info.pointee.buffer, count: length)
        let line = unsafe String(decoding: bytes, as: UTF8.self)
        let words = complete(line)
        guard var common = words.first else { return UInt8(CC_ERROR) }
        for word in words { common = common.commonPrefix(with: word) }
        var typed = common
        while !line.hasSuffix(typed) { typed.removeLast() }
        let rest = String(common.dropFirst(typed.count))
        if !rest.isEmpty {
            unsafe el_insertstr(editor, rest)
            return UInt8(CC_REFRESH)
        }
        guard words.count > 1 else { return UInt8(CC_ERROR) }
        writeOutput("\n" + words.joined(separator: "  ") + "\n")
        return UInt8(CC_REDISPLAY)
    }

    fileprivate static func of(_ editor: OpaquePointer?) -> LineEditor? {
        guard let client = unsafe tw_editor_client(editor) else { return nil }
        return unsafe Unmanaged<LineEditor>.fromOpaque(client).takeUnretainedValue()
    }
}

private let promptOfEditor: @convention(c) (OpaquePointer?) -> UnsafeMutablePointer<CChar>? = {
    unsafe LineEditor.of($0)?.promptText
}

private let readOfEditor: @convention(c) (OpaquePointer?, UnsafeMutablePointer<wchar_t>?) -> Int32 =
    { editor, space in
        guard let space = unsafe space,
            let character = unsafe LineEditor.of(editor)?.nextCharacter()
        else { return -1 }
        unsafe space.pointee = character
        return 1
    }

private let completeOfEditor: @convention(c) (OpaquePointer?, Int32) -> UInt8 = { editor, _ in
    unsafe LineEditor.of(editor)?.completeWord() ?? UInt8(CC_ERROR)
}

extension String {
    /// What both begin with.
    fileprivate func commonPrefix(with other: String) -> String {
        String(zip(self, other).prefix { $0 == $1 }.map(\.0))
    }
}

/// Writes text to stdout at once.
func writeOutput(_ text: String) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let count = unsafe rest.withUnsafeBytes { unsafe write(1, $0.baseAddress, $0.count) }
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { return }
        rest = rest.dropFirst(count)
    }
}
