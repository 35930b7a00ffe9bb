/// Values in the forms that keys are declared in. Each is nil when the key is not there, and when
/// its value is wrong, which is then reported.
extension SettingReader {
    /// A text, or a plain scalar taken as one.
    public mutating func string(_ key: String) -> String? {
        guard let value = setting(key) else { return nil }
        guard case .scalar(let text, _) = value.content, !text.isEmpty else {
            report(key, "\"\(key)\" must be a text that is not empty")
            return nil
        }
        return text
    }

    /// A text or a list of texts.
    public mutating func strings(_ key: String) -> [String]? {
        guard let value = setting(key) else { return nil }
        if case .sequence(let items) = value.content {
            var texts: [String] = []
            for item in items {
                if case .scalar(let text, _) = item.content, !text.isEmpty {
                    texts.append(text)
                } else {
                    add(Diagnostic(at: item.location, "must be a text"))
                }
            }
            if items.isEmpty { report(key, "\"\(key)\" must not be an empty list") }
            return texts
        }
        return string(key).map { [$0] }
    }

    /// `true` or `false`.
    public mutating func bool(_ key: String) -> Bool? {
        let form = declared(key).form
        guard let value = setting(key) else { return nil }
        if case .scalar(let text, quoted: false) = value.content {
            if text == "true" { return true }
            if text == "false" {
                guard case .onlyTrue = form else { return false }
                report(key, "\"\(key)\" can only be true")
                return nil
            }
        }
        report(key, "\"\(key)\" must be true or false")
        return nil
    }

    /// A whole number within the bounds of its key.
    public mutating func integer(_ key: String) -> Int? {
        guard case .integer(let range) = declared(key).form else { undeclared(key, "a number") }
        guard let value = setting(key) else { return nil }
        if case .scalar(let text, quoted: false) = value.content, let number = Int(text),
            range.contains(number)
        {
            return number
        }
        report(key, "\"\(key)\" must be \(ValueForm.integer(range).words)")
        return nil
    }

    /// A number within the bounds of its key.
    public mutating func number(_ key: String) -> Double? {
        guard case .number(let range) = declared(key).form else { undeclared(key, "a number") }
        guard let value = setting(key) else { return nil }
        if case .scalar(let text, quoted: false) = value.content, let number = Double(text),
            number.isFinite, range.contains(number)
        {
            return number
        }
        report(key, "\"\(key)\" must be \(ValueForm.number(range).words)")
        return nil
    }

    /// A percentage as a share of 1.
    public mutating func share(_ key: String) -> Double? {
        guard case .percentage = declared(key).form else { undeclared(key, "a percentage") }
        guard let value = setting(key) else { return nil }
        if case .scalar(let text, _) = value.content, text.hasSuffix("%"),
            let number = decimal(text.dropLast()), number <= 100
        {
            return number / 100
        }
        report(key, "\"\(key)\" must be a percentage from 0% to 100%, such as 5%")
        return nil
    }

    /// Digits, perhaps with a point and further digits.
    private func decimal(_ text: Substring) -> Double? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let areDigits = parts.allSatisfy { part in
            !part.isEmpty && part.allSatisfy { $0.isASCII && $0.isNumber }
        }
        return parts.count <= 2 && areDigits ? Double(text) : nil
    }

    /// A duration within the bounds of its key, in nanoseconds.
    public mutating func nanoseconds(_ key: String) -> Int64? {
        guard let form = declared(key).form.duration else { undeclared(key, "a duration") }
        guard let value = setting(key) else { return nil }
        var hint = ""
        if case .scalar(let text, _) = value.content {
            if let amount = parse(text, form) { return checked(amount, form, key) }
            if Int64(text) != nil { hint = "; \(text) needs a unit" }
        }
        let wanted = DurationForm(minimum: form.minimum).words
        report(key, "\"\(key)\" must be \(wanted), such as 500ms, 2s or 10m\(hint)")
        return nil
    }

    /// A duration in whole milliseconds, as event time has it.
    public mutating func milliseconds(_ key: String) -> Int64? {
        guard declared(key).form.duration?.isWholeMilliseconds == true else {
            undeclared(key, "whole milliseconds")
        }
        return nanoseconds(key).map { $0 / 1_000_000 }
    }

    private func parse(_ text: String, _ form: DurationForm) -> Int64? {
        if form.isSigned, text.hasPrefix("-") {
            return parseDuration(String(text.dropFirst())).map { -$0 }
        }
        return parseDuration(text).flatMap { $0 >= form.minimum ? $0 : nil }
    }

    private mutating func checked(_ amount: Int64, _ form: DurationForm, _ key: String) -> Int64? {
        if amount > form.maximum {
            report(key, "\"\(key)\" can be \(durationText(form.maximum)) at most")
        } else if form.isWholeMilliseconds, amount % 1_000_000 != 0 {
            report(key, "\"\(key)\" must be whole milliseconds, such as 500ms, 2s or 10m")
            return nil
        }
        return amount
    }

    /// A size within the bounds of its key, in bytes.
    public mutating func bytes(_ key: String) -> Int? {
        guard case .size(let range) = declared(key).form else { undeclared(key, "a size") }
        guard let value = setting(key) else { return nil }
        var hint = ""
        if case .scalar(let text, _) = value.content {
            if let amount = parseByteSize(text), amount > 0 {
                if range.contains(Int(amount)) { return Int(amount) }
                report(key, "\"\(key)\" \(outside(range))")
                return nil
            }
            if Int64(text) != nil { hint = "; \(text) needs a unit" }
        }
        report(key, "\"\(key)\" must be a size above zero, such as 64KiB or 16MiB\(hint)")
        return nil
    }

    private func outside(_ range: ClosedRange<Int>) -> String {
        let most = byteSizeText(range.upperBound)
        if range.lowerBound == 1 { return "can be \(most) at most" }
        return "must be from \(byteSizeText(range.lowerBound)) to \(most)"
    }

    /// One of the words of its key.
    public mutating func choice(_ key: String) -> String? {
        guard let words = declared(key).form.wordList else {
            undeclared(key, "one of several words")
        }
        guard let text = string(key) else { return nil }
        if words.contains(text) { return text }
        let list = words.joined(separator: ", ")
        report(key, "\"\(key)\" must be one of \(list)\(suggestion(for: text, among: words))")
        return nil
    }

    /// One ASCII character, as a byte.
    public mutating func character(_ key: String) -> UInt8? {
        guard let text = string(key) else { return nil }
        let bytes = Array(text.utf8)
        if bytes.count == 1, bytes[0] != 0x22, bytes[0] != 0x0A { return bytes[0] }
        report(key, "\"\(key)\" must be one character")
        return nil
    }

    private func undeclared(_ key: String, _ form: String) -> Never {
        preconditionFailure("the key \"\(key)\" is not declared as \(form)")
    }
}

extension ValueForm {
    /// The form of durations among its choices.
    fileprivate var duration: DurationForm? {
        for case .duration(let form) in choices { return form }
        return nil
    }

    /// The words among its choices.
    fileprivate var wordList: [String]? {
        for case .choice(let words) in choices { return words }
        return nil
    }
}
