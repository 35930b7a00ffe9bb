internal import Glibc

/// When a sink begins another file.
struct RollOptions: Sendable {
    /// Closes a file that has reached this size.
    var bytes: UInt64?
    /// Each file holds rows of one such period.
    var periodMilliseconds: Int64?
    /// The clock counts, and not the time of rows.
    var goesByArrival = false
    /// The names of the files; nil when there is a problem.
    let names: RollPath?
    private let pathProblem: String?

    init(path: String) {
        switch RollPath.read(path) {
        case .success(let read): (names, pathProblem) = (read, nil)
        case .failure(let problem): (names, pathProblem) = (nil, problem.text)
        }
    }

    /// What is wrong with the path.
    var problem: String? {
        if let pathProblem { return pathProblem }
        guard bytes == nil, periodMilliseconds == nil, names?.unit == nil else { return nil }
        return "a path that rolls needs a size or every in roll, or a part of the time such as %d"
    }
}

/// A path with parts of a time and the number of a row in it, such as
/// `out/%Y/%m/%d/part-%n.jsonl`.
struct RollPath: Sendable {
    fileprivate enum Part: Sendable, Hashable {
        case text(String)
        case number
        /// A part of the time, and how many digits it has.
        case time(Character, digits: Int)
    }

    /// Why a path cannot be used.
    struct Problem: Error {
        var text: String
    }

    static let partialEnding = ".partial"
    private static let numberDigits = 12
    private static let timeParts: [(letter: Character, digits: Int, milliseconds: Int64)] = [
        ("Y", 4, 86_400_000), ("m", 2, 86_400_000), ("d", 2, 86_400_000), ("H", 2, 3_600_000),
        ("M", 2, 60_000), ("S", 2, 1000),
    ]

    /// The parts between slashes.
    private var steps: [[Part]] = []
    /// Rows within the same such period after 1970 have the same path; nil when time is no part.
    private(set) var unit: Int64?

    static func read(_ path: String) -> Result<RollPath, Problem> {
        var result = RollPath()
        var hasNumber = false
        for step in path.split(separator: "/", omittingEmptySubsequences: false) {
            var parts: [Part] = []
            var rest = step[...]
            while let character = rest.popFirst() {
                guard character == "%" else {
                    parts.append(.text(String(character)))
                    continue
                }
                let letter = rest.popFirst()
                if letter == "n" {
                    hasNumber = true
                    parts.append(.number)
                } else if letter == "%" {
                    parts.append(.text("%"))
                } else if let known = timeParts.first(where: { $0.letter == letter }) {
                    parts.append(.time(known.letter, digits: known.digits))
                    result.unit = min(result.unit ?? .max, known.milliseconds)
                } else {
                    let text = "%" + (letter.map { String($0) } ?? "")
                    return .failure(
                        Problem(
                            text: "a path that rolls has %Y %m %d %H %M %S, %n, and %% for a "
                                + "percent sign, not \"\(text)\""))
                }
            }
            result.steps.append(parts)
        }
        guard hasNumber else {
            return .failure(
                Problem(
                    text: "a path that rolls needs %n, the number of a file's first row, such as "
                        + "part-%n.jsonl"))
        }
        return .success(result)
    }

    /// The path of a file, given a time within its period in milliseconds since 1970; without a
    /// number it names the period.
    func path(at time: Int64, number: UInt64?) -> String {
        var seconds = time_t(time >= 0 ? time / 1000 : (time - 999) / 1000)
        var date = unsafe tm()
        _ = unsafe gmtime_r(&seconds, &date)
        let values: [Character: Int] = unsafe [
            "Y": Int(date.tm_year) + 1900, "m": Int(date.tm_mon) + 1, "d": Int(date.tm_mday),
            "H": Int(date.tm_hour), "M": Int(date.tm_min), "S": Int(date.tm_sec),
        ]
        return steps.map { parts in
            parts.map { part in
                switch part {
                case .text(let text): text
                case .number: number.map { padded(String($0), Self.numberDigits) } ?? "%n"
                case .time(let letter, let digits): padded(String(values[letter] ?? 0), digits)
                }
            }.joined()
        }.joined(separator: "/")
    }

    private func padded(_ text: String, _ digits: Int) -> String {
        String(repeating: "0", count: max(0, digits - text.count)) + text
    }

    // MARK: Files that are there

    /// A file with such a name.
    struct Found {
        /// Its path from the folder.
        var path: String
        var number: UInt64
        var isPartial: Bool
    }

    /// The files with such names, in the order of their names.
    func files(in folder: String) -> [Found] {
        var found: [Found] = []
        visit(0, shown: "", folder: folder, number: 0, &found)
        return found
    }

    private func visit(
        _ index: Int, shown: String, folder: String, number: UInt64, _ found: inout [Found]
    ) {
        let isLast = index == steps.count - 1
        let parts = steps[index]
        if !isLast, !parts.contains(where: \.isFree) {
            let step = parts.map(\.fixedText).joined() + "/"
            return visit(index + 1, shown: shown + step, folder: folder, number: number, &found)
        }
        let place = resolve(shown.isEmpty ? "." : shown, in: folder)
        for name in entries(of: place) {
            let isPartial = isLast && name.hasSuffix(Self.partialEnding)
            let own = isPartial ? String(name.dropLast(Self.partialEnding.count)) : name
            guard let named = match(own, parts) else { continue }
            if isLast {
                found.append(
                    Found(path: shown + name, number: max(number, named), isPartial: isPartial))
            } else {
                visit(
                    index + 1, shown: shown + name + "/", folder: folder,
                    number: max(number, named), &found)
            }
        }
    }

    /// The number in a name, 0 without one; nil when the name is another.
    private func match(_ name: String, _ parts: [Part]) -> UInt64? {
        var rest = Array(name)[...]
        var number: UInt64 = 0
        for part in parts {
            switch part {
            case .text(let text):
                guard rest.starts(with: text) else { return nil }
                rest = rest.dropFirst(text.count)
            case .time(_, let digits):
                let own = rest.prefix(digits)
                guard own.count == digits, own.allSatisfy(\.isDigit) else { return nil }
                rest = rest.dropFirst(digits)
            case .number:
                let own = rest.prefix(while: \.isDigit)
                guard own.count >= Self.numberDigits, let value = UInt64(String(own)) else {
                    return nil
                }
                number = value
                rest = rest.dropFirst(own.count)
            }
        }
        return rest.isEmpty ? number : nil
    }
}

extension RollPath.Part {
    fileprivate var isFree: Bool { if case .text = self { false } else { true } }
    fileprivate var fixedText: String { if case .text(let text) = self { text } else { "" } }
}

extension Character {
    fileprivate var isDigit: Bool { isASCII && isNumber }
}
