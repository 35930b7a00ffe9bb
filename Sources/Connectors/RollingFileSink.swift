internal import Connecting
internal import Glibc
internal import Records
internal import Scripting
internal import Threads

/// Rows into one file after the other, by their time and by size.
///
/// Which file a row goes to follows from the rows before it and its time alone, so that a run which
/// was killed goes on with the same files.
final class RollingFileSink: Sink {
    private let options: FileSinkOptions
    private let roll: RollOptions
    private let names: RollPath
    private let context: RunContext
    private let rules: SinkFileRules
    private let packing: Packing?
    private let writer: CSVRowWriter?
    private var parts: [RolledPart] = []
    private var rowCount: UInt64 = 0
    private var newest: Int64?
    private var told: [UInt8]?
    private lazy var clock = context.makeRowClock?()
    private var fields = RowFields()
    /// The part that took the last row, and the unit of time that the row was in.
    private var current: (part: RolledPart, unit: Int64)?
    /// Files of others that are to make room; gone once the first row or commit comes.
    private var obsolete: [SinkFile] = []
    private var isOver = false

    /// So many files are open at once, for rows that come out of their order.
    private static let openLimit = 64

    init(
        _ options: FileSinkOptions, _ roll: RollOptions, _ context: RunContext
    ) throws(ConnectorError) {
        guard let names = roll.names else { throw ConnectorError("error: \(options.path)") }
        if !roll.goesByArrival, context.makeRowClock == nil,
            roll.periodMilliseconds != nil || names.unit != nil
        {
            throw ConnectorError(
                "error: \(options.path): rolls by the time of rows, and the pipeline has no "
                    + "`time`; add it, or `by: arrival` to `roll`")
        }
        self.options = options
        self.roll = roll
        self.names = names
        self.context = context
        packing = Packing.split(options.finalPath).packing
        rules = SinkFileRules(context, appends: false, isPacked: packing != nil)
        let known = context.resumption.positions[options.path]
        let position = known.flatMap { SinkPosition($0) }
        writer = try options.csv.map { (csv) throws(ConnectorError) in
            CSVRowWriter(csv, columns: try options.columns(after: position))
        }
        told = known
        if let position { try goOn(position) } else { try begin() }
    }

    // MARK: Start

    /// Nothing is known of the files that are there.
    private func begin() throws(ConnectorError) {
        for found in names.files(in: context.folder) {
            // It is removed only when no other pipeline writes to it.
            let path = resolve(found.path, in: context.folder)
            guard let status = SinkFileStatus(path), status.size > 0, status.type == S_IFREG else {
                continue
            }
            let file = SinkFile(path: path, shown: found.path, rules: rules)
            guard rules.overwrites else {
                throw ConnectorError(
                    "error: \(found.path): no run of this store has written it; move such files "
                        + "away, or run with --overwrite to remove them all")
            }
            obsolete.append(file)
        }
    }

    private func clear() throws(ConnectorError) {
        for file in obsolete { try remove(file) }
        obsolete = []
    }

    private func goOn(_ position: SinkPosition) throws(ConnectorError) {
        rowCount = position.rows
        newest = position.newest
        for place in position.files {
            let part = makePart(place.path, place.time, place.first)
            if fileType(part.file.path) != nil {
                try part.file.open(place)
                if place.isClosed {
                    try part.file.finish()
                    try part.takeName()
                } else {
                    parts.append(part)
                }
            } else if !place.isClosed {
                try cutFinished(place)
            }
        }
        // Files that are no part of a commit hold rows that come again.
        for found in names.files(in: context.folder)
        where found.isPartial && found.number > rowCount {
            try remove(
                SinkFile(
                    path: resolve(found.path, in: context.folder), shown: found.path, rules: rules))
        }
    }

    /// The run before was killed when it had given a file its name, and had not noted that.
    private func cutFinished(_ place: SinkFilePosition) throws(ConnectorError) {
        let path = resolve(place.path, in: context.folder)
        guard let status = SinkFileStatus(path), status.inode == place.inode else {
            return context.warn("\(place.path): is missing; it is not written any more\n")
        }
        let file = SinkFile(path: path, shown: place.path, rules: rules)
        try file.open(place)
        try file.finish()
        file.close()
    }

    private func remove(_ file: SinkFile) throws(ConnectorError) {
        let descriptor = try file.openDescriptor(0)
        defer { SinkFile.release(descriptor) }
        try file.lock(descriptor)
        if unsafe unlink(file.path) != 0 {
            throw ConnectorError("error: \(file.shown): \(systemText(errno)) (removing it)")
        }
    }

    private func makePart(_ path: String, _ time: Int64, _ first: UInt64) -> RolledPart {
        let part = RolledPart(
            path: path, context, rules, packing, period: period(of: time), time: time,
            first: first)
        noteHeader(part)
        return part
    }

    private func noteHeader(_ part: RolledPart) {
        guard let header = writer?.header else { return }
        part.file.head = packing?.pack(header) ?? header
    }

    // MARK: Rows

    func write(_ rows: UnsafeRawBufferPointer, count: Int) throws(ConnectorError) {
        try clear()
        try nameCounted()
        let times = goesByEvent ? unsafe clock?.times(of: rows) ?? [] : []
        let arrival = epochMilliseconds()
        var refused: [RefusedRow] = []
        var failure: ConnectorError?
        var index = 0
        unsafe forEachRow(rows) { row in
            defer { index += 1 }
            guard failure == nil else { return }
            let known = index < times.count ? times[index] : nil
            let time = goesByEvent ? known ?? windowTime(row) ?? newest ?? 0 : arrival
            do throws(ConnectorError) {
                if let reason = try add(row, time) {
                    refused.append(
                        RefusedRow(index: index, reason: "\(options.path): \(reason)"))
                }
            } catch { failure = error }
        }
        if let failure { throw failure }
        for part in parts { try part.pass() }
        guard let first = refused.first else { return }
        throw ConnectorError("error: \(first.reason)", remedy: .refuse(refused))
    }

    private var goesByEvent: Bool {
        !roll.goesByArrival && (roll.periodMilliseconds != nil || names.unit != nil)
    }

    /// Rows of windows have the time at which their window begins.
    private func windowTime(_ row: Span<UInt8>) -> Int64? {
        guard fields.read(row),
            let member = fields.members.last(where: { member in
                member.name.count == 12
                    && RowFields.text(of: row, member.name, isEscaped: false)
                        == Array("window_start".utf8)
            }), row[member.value.lowerBound] == 0x22
        else { return nil }
        let text = (member.value.lowerBound + 1)..<(member.value.upperBound - 1)
        return parseTime(
            String(decoding: RowFields.text(of: row, text, isEscaped: false), as: UTF8.self))
    }

    /// Adds one row; returns why it is refused, or nil.
    private func add(_ row: Span<UInt8>, _ time: Int64) throws(ConnectorError) -> String? {
        var line: [UInt8] = []
        if let writer, let reason = writer.append(row, to: &line) { return reason }
        let part = try part(at: time)
        if writer == nil { try part.add(row) } else { try part.add(line: line) }
        rowCount += 1
        if time > newest ?? .min { newest = time }
        if let limit = roll.bytes, part.size >= limit { try close(part) }
        return nil
    }

    private func unit(of time: Int64) -> Int64 {
        let unit = min(names.unit ?? .max, roll.periodMilliseconds ?? .max)
        return time >= 0 ? time / unit : (time + 1) / unit - 1
    }

    /// Rows with the same text stand in the same files.
    private func period(of time: Int64) -> String {
        let path = names.path(at: time, number: nil)
        guard let length = roll.periodMilliseconds else { return path }
        return path + " \(time >= 0 ? time / length : (time + 1) / length - 1)"
    }

    private func part(at time: Int64) throws(ConnectorError) -> RolledPart {
        let unit = unit(of: time)
        if let current, current.unit == unit, !current.part.isClosed { return current.part }
        let period = period(of: time)
        if let open = parts.first(where: { !$0.isClosed && $0.period == period }) {
            current = (open, unit)
            return open
        }
        try closePast(time)
        let open = parts.filter { !$0.isClosed }
        if open.count >= Self.openLimit, let oldest = open.min(by: { $0.time < $1.time }) {
            try close(oldest)
        }
        let number = rowCount + 1
        let path = names.path(at: time, number: number)
        let part = makePart(path, time, number)
        if SinkFileStatus(resolve(path, in: context.folder))?.size ?? 0 > 0, !rules.overwrites {
            throw ConnectorError(
                "error: \(path): is there already, and no run of this store has written it; "
                    + "move it away and start again")
        }
        try part.file.open()
        parts.append(part)
        current = (part, unit)
        return part
    }

    /// Closes files whose period is over when a row of this time has come.
    private func closePast(_ time: Int64) throws(ConnectorError) {
        let now = max(time, newest ?? time) - (goesByEvent ? clock?.patienceMilliseconds ?? 0 : 0)
        let period = period(of: now)
        for part in parts where !part.isClosed && part.time < now && part.period != period {
            try close(part)
        }
    }

    private func close(_ part: RolledPart) throws(ConnectorError) {
        try part.complete()
        part.isClosed = true
        if current?.part === part { current = nil }
        guard !rules.isKept else { return }
        try part.file.finish()
        try part.takeName()
        parts.removeAll { $0 === part }
    }

    func flush() throws(ConnectorError) {}

    func look() throws(ConnectorError) -> Bool {
        guard !isOver else { return false }
        try nameCounted()
        if roll.goesByArrival, names.unit != nil || roll.periodMilliseconds != nil {
            try closePast(epochMilliseconds())
        }
        var isWanted = parts.contains(where: \.isClosed)
        for part in parts where try part.file.look() { isWanted = true }
        return isWanted
    }

    // MARK: Commits

    func prepareCommit() throws(ConnectorError) {
        guard !isOver else { return }
        try clear()
        try nameCounted()
        for part in parts {
            try part.complete()
            try part.file.settle()
            part.isCounted = part.isClosed
        }
    }

    var awaitsCommit: Bool {
        !isOver && parts.contains { $0.isClosed || $0.file.awaitsCommit }
    }

    /// The commit that counted them is kept, so closed files get their names.
    private func nameCounted() throws(ConnectorError) {
        guard parts.contains(where: \.isCounted) else { return }
        for part in parts where part.isCounted {
            try part.file.finish()
            try part.takeName()
        }
        parts.removeAll(where: \.isCounted)
    }

    func takePositions(_ body: (_ name: String, _ position: [UInt8]) -> Void) {
        guard rules.isKept else { return }
        var position = SinkPosition()
        position.files = parts.compactMap(\.position)
        position.columns = writer?.columns
        position.rows = rowCount
        position.newest = newest
        let now = position.encoded
        guard now != told else { return }
        told = now
        body(options.path, now)
    }

    var syncer: (@Sendable () throws(ConnectorError) -> Void)? {
        sync(parts.flatMap(\.file.descriptors), shown: options.path)
    }

    // MARK: The end

    func finish() throws(ConnectorError) {
        guard !isOver else { return }
        defer { end() }
        try clear()
        try nameCounted()
        for part in parts {
            try part.complete()
            try part.file.finish()
            if rules.isKept { try sync(part.file.descriptors, shown: part.shown)() }
            try part.takeName()
        }
        parts = []
    }

    func abandon() { end() }

    private func end() {
        isOver = true
        for part in parts { part.file.close() }
    }
}
