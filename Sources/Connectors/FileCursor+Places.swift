internal import Connecting
internal import Records

/// Where a cursor stands, and how it goes on there in a later run.
extension FileCursor {
    /// Where the next record begins that is not done: `next` when it was read already.
    func position(before next: RecordPlace?, _ known: FilePosition) -> FilePosition {
        var position = known
        position.isOld = false
        let delivered = next == nil ? UInt64(max(continued, framing?.continued ?? 0)) : 0
        position.offset = next?.position ?? place.offset + delivered
        position.line = next?.line ?? place.line
        position.delivered = delivered
        position.identity = reader.opened.identity
        position.isInList = (framing as? JSONFraming)?.isInList(at: position.offset) ?? false
        guard reader.opened.isRegular else { return position }
        position.head = fingerprintOfHead(position.offset)
        let offset = position.offset
        position.tail = FilePosition.Fingerprint(
            reader.isPacked ? history.bytes(before: offset) : reader.readBytes(before: offset))
        return position
    }

    private func fingerprintOfHead(_ read: UInt64) -> FilePosition.Fingerprint {
        let wanted = min(read, UInt64(ByteReader.probeLength))
        if head.length != wanted {
            head = FilePosition.Fingerprint(
                (reader.isPacked ? history.head : reader.first).prefix(Int(wanted)))
        }
        return head
    }

    /// Goes on at a place that was reached before, also in another run. False when what stands
    /// before it is not what was read; then the cursor cannot be used.
    func resume(at position: FilePosition) throws(ConnectorError) -> Bool {
        let start = position.offset - position.delivered
        if reader.isPacked {
            guard try unpack(to: position) else { return false }
        } else {
            guard reader.opened.size >= position.offset, hasStart(position),
                position.tail.length == 0
                    || FilePosition.Fingerprint(reader.bytes(before: position.offset))
                        == position.tail
            else { return false }
            reader.seek(to: start)
        }
        if start > 0 { try prepareFraming() }
        place = TextPlace(offset: start, line: position.line)
        isBegun = start > 0
        setContinued(Int(position.delivered))
        (framing as? JSONFraming)?.resume(isInList: position.isInList)
        return true
    }

    /// What an earlier stream under this name gave must not get its names again.
    func nameBehind(_ position: FilePosition) {
        place = TextPlace(offset: position.offset, line: position.line)
    }

    /// Learns what the start of the file says about rows that come later.
    private func prepareFraming() throws(ConnectorError) {
        guard let framing, !framing.isPrepared else { return }
        let start = try FileCursor(
            path: path, shown: shown, name: name, format: format, framing: framing,
            context: context)
        let batch = Batch()
        framing.isRepeated = true
        defer { framing.isRepeated = false }
        while !framing.isPrepared {
            batch.removeAll()
            let outcome = try start.read(
                into: batch, limit: ReadLimit(bytes: 64 << 10), milliseconds: 0)
            guard case .bytes = outcome else { break }
        }
        framing.restart()
    }

    private func hasStart(_ position: FilePosition) -> Bool {
        position.head.length == 0
            || FilePosition.Fingerprint(reader.bytes(from: 0, count: Int(position.head.length)))
                == position.head
    }

    /// All that the file holds is the start of what was read of another, as far as that is known.
    func isStart(of position: FilePosition) throws(ConnectorError) -> Bool {
        if reader.isPacked {
            _ = try unpack(to: position)
            return false
        }
        guard reader.opened.size < position.offset else { return false }
        return reader.opened.size < position.head.length || hasStart(position)
    }

    private func unpack(to position: FilePosition) throws(ConnectorError) -> Bool {
        if position.isOld, !hasStart(position) { return false }
        let start = position.offset - position.delivered
        var text = ByteBuffer()
        while history.end < position.offset {
            text.removeAll()
            let step = Int(min(position.offset - history.end, 256 << 10))
            let outcome = try reader.read(into: &text, limit: step, milliseconds: 1000)
            guard case .bytes = outcome else {
                // Somebody may be about to write it once more.
                if reader.endsEarly || history.end == 0 {
                    throw ConnectorError("\(shown): the packed data ends too early")
                }
                return false
            }
            history.forget(before: min(history.end, start))
            history.append(copyOf: text, 0..<text.count)
        }
        guard
            position.isOld
                || (FilePosition.Fingerprint(Array(history.head.prefix(Int(position.head.length))))
                    == position.head
                    && FilePosition.Fingerprint(history.bytes(before: position.offset))
                        == position.tail)
        else { return false }
        pending.append(contentsOf: history.bytes(from: start, to: position.offset))
        return true
    }

    /// Goes behind all that the file holds now but a line that has no end yet.
    func passOver() throws(ConnectorError) {
        let batch = Batch()
        if framing == nil, !reader.isPacked, reader.opened.isRegular {
            passLines()
            return
        }
        while true {
            batch.removeAll()
            let outcome = try read(
                into: batch, limit: ReadLimit(bytes: 256 << 10), milliseconds: 0)
            guard case .bytes = outcome else { return }
        }
    }

    private func passLines() {
        var end = reader.opened.size
        while end > 0 {
            let start = end - min(end, 64 << 10)
            let bytes = reader.bytes(from: start, count: Int(end - start))
            if let last = bytes.lastIndex(of: 0x0A) {
                place.offset = start + UInt64(last) + 1
                isBegun = true
                reader.seek(to: place.offset)
                return
            }
            end = start
        }
    }

}
