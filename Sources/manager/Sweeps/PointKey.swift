/// The identity of a point: its phase and its config as values, without output_dir.
///
/// Two points have the same key exactly when their phases are the same bytes and their configs hold the same members
/// with equal values: numbers are compared as numbers, exactly (`4`, `4.0` and `40e-1` are one), text by its
/// characters (`"A"` is `"\u0041"`), keys in any order, lists in theirs. Text and number differ (`"4"` is not `4`).
///
/// Form: the phase, a zero byte, then the config. `n`, `t`, `f` stand for null, true, false; `d`, significant digits,
/// `e`, exponent, `;` for a number; `s`, length, `:`, bytes for text; brackets and braces for lists and objects, the
/// members of an object sorted by bytes. The same everywhere and always, but never stored.
struct PointKey: Hashable, Sendable {
    /// The canonical bytes.
    let bytes: [UInt8]

    /// The key of a point; `config` is a JSON object. What is no JSON is its own bytes.
    init(phase: String, config: [UInt8]) {
        var bytes = Array(phase.utf8)
        bytes.reserveCapacity(bytes.count + 1 + config.count + config.count / 4)
        bytes.append(0)
        CanonicalJSON.append(config, to: &bytes)
        self.bytes = bytes
    }

    /// Hashes the bytes at once; an array would hash them one by one.
    func hash(into hasher: inout Hasher) { bytes.withUnsafeBytes { hasher.combine(bytes: $0) } }

    /// The canonical bytes of one JSON value: equal exactly for equal values.
    static func canonicalValue(_ json: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        CanonicalJSON.append(json, to: &bytes)
        return bytes
    }
}

/// Walks over one JSON text and writes its canonical form; never fails, as broken text stands for itself.
private struct CanonicalJSON {
    private static let maximumDepth = 512
    private let source: UnsafeBufferPointer<UInt8>
    private var at = 0

    static func append(_ json: [UInt8], to result: inout [UInt8]) {
        let start = result.count
        let isWhole = json.withUnsafeBufferPointer { buffer in
            var walk = CanonicalJSON(source: buffer)
            return walk.appendValue(to: &result, depth: 0) && walk.next == nil
        }
        if !isWhole {
            result.removeSubrange(start...)
            result.append(UInt8(ascii: "x"))
            result += json
        }
    }

    private init(source: UnsafeBufferPointer<UInt8>) { self.source = source }

    /// The next byte that is no white space.
    private var next: UInt8? {
        mutating get {
            while at < source.count {
                let byte = source[at]
                guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return byte }
                at += 1
            }
            return nil
        }
    }

    private mutating func appendValue(to result: inout [UInt8], depth: Int) -> Bool {
        guard let first = next, depth < Self.maximumDepth else { return false }
        switch first {
        case UInt8(ascii: "{"): return appendObject(to: &result, depth: depth)
        case UInt8(ascii: "["): return appendList(to: &result, depth: depth)
        case UInt8(ascii: "\""): return appendString(to: &result)
        case UInt8(ascii: "n"): return appendWord("null", as: first, to: &result)
        case UInt8(ascii: "t"): return appendWord("true", as: first, to: &result)
        case UInt8(ascii: "f"): return appendWord("false", as: first, to: &result)
        default: return appendNumber(to: &result)
        }
    }

    private mutating func appendWord(_ word: StaticString, as mark: UInt8, to result: inout [UInt8]) -> Bool {
        guard at + word.utf8CodeUnitCount <= source.count else { return false }
        for index in 0..<word.utf8CodeUnitCount where source[at + index] != word.utf8Start[index] { return false }
        at += word.utf8CodeUnitCount
        result.append(mark)
        return true
    }

    private mutating func appendList(to result: inout [UInt8], depth: Int) -> Bool {
        at += 1
        result.append(UInt8(ascii: "["))
        if next == UInt8(ascii: "]") {
            at += 1
        } else {
            while true {
                guard appendValue(to: &result, depth: depth + 1), let mark = next else { return false }
                at += 1
                if mark == UInt8(ascii: "]") { break }
                guard mark == UInt8(ascii: ",") else { return false }
            }
        }
        result.append(UInt8(ascii: "]"))
        return true
    }

    private mutating func appendObject(to result: inout [UInt8], depth: Int) -> Bool {
        at += 1
        result.append(UInt8(ascii: "{"))
        let start = result.count
        var ends: [Int] = []
        if next == UInt8(ascii: "}") {
            at += 1
        } else {
            while true {
                guard next == UInt8(ascii: "\""), appendString(to: &result), next == UInt8(ascii: ":") else {
                    return false
                }
                at += 1
                guard appendValue(to: &result, depth: depth + 1), let mark = next else { return false }
                at += 1
                ends.append(result.count)
                if mark == UInt8(ascii: "}") { break }
                guard mark == UInt8(ascii: ",") else { return false }
            }
        }
        Self.sortMembers(of: &result, from: start, ends: ends)
        result.append(UInt8(ascii: "}"))
        return true
    }

    /// Sorts the members that stand from `start` on, each up to its end, by their bytes.
    private static func sortMembers(of result: inout [UInt8], from start: Int, ends: [Int]) {
        guard ends.count > 1 else { return }
        var members: [Range<Int>] = []
        members.reserveCapacity(ends.count)
        for end in ends { members.append((members.last?.upperBound ?? start)..<end) }
        let sorted = result.withUnsafeBufferPointer { bytes -> [UInt8]? in
            func precedes(_ left: Range<Int>, _ right: Range<Int>) -> Bool {
                var (l, r) = (left.lowerBound, right.lowerBound)
                while l < left.upperBound, r < right.upperBound {
                    if bytes[l] != bytes[r] { return bytes[l] < bytes[r] }
                    l += 1
                    r += 1
                }
                return left.count < right.count
            }
            var isSorted = true
            for index in 1..<members.count where precedes(members[index], members[index - 1]) {
                isSorted = false
                break
            }
            if isSorted { return nil }
            members.sort(by: precedes)
            var sorted: [UInt8] = []
            sorted.reserveCapacity(bytes.count - start)
            for member in members { sorted.append(contentsOf: bytes[member]) }
            return sorted
        }
        if let sorted { result.replaceSubrange(start..., with: sorted) }
    }

    private mutating func appendString(to result: inout [UInt8]) -> Bool {
        let start = at + 1
        var end = start
        var hasEscape = false
        while end < source.count, source[end] != UInt8(ascii: "\"") {
            if source[end] == UInt8(ascii: "\\") {
                hasEscape = true
                end += 1
            }
            end += 1
        }
        guard end < source.count else { return false }
        at = end + 1
        let raw = UnsafeBufferPointer(rebasing: source[start..<end])
        result.append(UInt8(ascii: "s"))
        if hasEscape {
            guard let text = JSONStringText.decode(raw) else { return false }
            appendDecimal(text.count, to: &result)
            result.append(UInt8(ascii: ":"))
            result += text
        } else {
            appendDecimal(raw.count, to: &result)
            result.append(UInt8(ascii: ":"))
            result.append(contentsOf: raw)
        }
        return true
    }

    private func appendDecimal(_ number: Int, to result: inout [UInt8]) {
        if number < 0 {
            result.append(UInt8(ascii: "-"))
            appendDecimal(-number, to: &result)
        } else {
            if number >= 10 { appendDecimal(number / 10, to: &result) }
            result.append(UInt8(ascii: "0") + UInt8(number % 10))
        }
    }

    /// Digits without zeros at either end, and the power of ten by which they are meant.
    private mutating func appendNumber(to result: inout [UInt8]) -> Bool {
        let start = at
        let resultStart = result.count
        func isDigit(_ index: Int) -> Bool { index < source.count && 48...57 ~= source[index] }
        result.append(UInt8(ascii: "d"))
        if source[at] == UInt8(ascii: "-") {
            result.append(UInt8(ascii: "-"))
            at += 1
        }
        guard isDigit(at) else { return false }
        let digitsStart = result.count
        var exponent = 0
        while isDigit(at) {
            if result.count > digitsStart || source[at] != 48 { result.append(source[at]) }
            at += 1
        }
        if at < source.count, source[at] == UInt8(ascii: ".") {
            at += 1
            guard isDigit(at) else { return false }
            while isDigit(at) {
                if result.count > digitsStart || source[at] != 48 { result.append(source[at]) }
                exponent -= 1
                at += 1
            }
        }
        if at < source.count, source[at] | 0x20 == UInt8(ascii: "e") {
            at += 1
            let isNegative = at < source.count && source[at] == UInt8(ascii: "-")
            if isNegative || at < source.count && source[at] == UInt8(ascii: "+") { at += 1 }
            guard isDigit(at) else { return false }
            var power = 0
            while isDigit(at) {
                // Beyond a million million the exact power no longer matters: such a number stands for its spelling.
                guard power < 1_000_000_000_000 else {
                    return appendSpelling(from: start, replacing: resultStart, to: &result)
                }
                power = power * 10 + Int(source[at] - 48)
                at += 1
            }
            exponent += isNegative ? -power : power
        }
        guard result.count > digitsStart else {
            result.removeSubrange(resultStart...)
            result += [UInt8(ascii: "d"), UInt8(ascii: "0"), UInt8(ascii: ";")]
            return true
        }
        while result.last == 48 {
            result.removeLast()
            exponent += 1
        }
        result.append(UInt8(ascii: "e"))
        appendDecimal(exponent, to: &result)
        result.append(UInt8(ascii: ";"))
        return true
    }

    private mutating func appendSpelling(from start: Int, replacing resultStart: Int, to result: inout [UInt8]) -> Bool
    {
        while at < source.count, 48...57 ~= source[at] { at += 1 }
        result.removeSubrange(resultStart...)
        result.append(UInt8(ascii: "x"))
        result.append(contentsOf: source[start..<at])
        result.append(UInt8(ascii: ";"))
        return true
    }
}
