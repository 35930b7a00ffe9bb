/// The candidate that a misspelt name most probably meant, if one is close enough.
///
/// Two slips are forgiven, more in long names, and only one where two would be most of the name.
public func closest(to name: String, among candidates: some Sequence<String>) -> String? {
    let wanted = Array(name.utf8)
    let limit = wanted.count < 4 ? 1 : max(2, wanted.count / 3)
    var best: (name: String, distance: Int)?
    for candidate in candidates where candidate != name {
        let distance = editDistance(wanted, Array(candidate.utf8))
        if distance <= limit, distance < best?.distance ?? Int.max {
            best = (candidate, distance)
        }
    }
    return best?.name
}

/// Insertions, deletions, substitutions and swaps of neighbours (Damerau 1964, Wagner-Fischer).
func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var before: [Int] = []
    var above = Array(0...right.count)
    for i in left.indices {
        var row = [i + 1]
        for j in right.indices {
            let substitution = above[j] + (left[i] == right[j] ? 0 : 1)
            var cost = min(substitution, above[j + 1] + 1, row[j] + 1)
            if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] {
                cost = min(cost, before[j - 1] + 1)
            }
            row.append(cost)
        }
        before = above
        above = row
    }
    return above[right.count]
}

/// `; did you mean "name"?`, or nothing.
public func suggestion(for name: String, among candidates: some Sequence<String>) -> String {
    closest(to: name, among: candidates).map { "; did you mean \"\($0)\"?" } ?? ""
}
