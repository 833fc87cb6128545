import Crypto

/// Carries out the decision on the newest segment: scan, decide, cut aside, rewrite.
struct Recovery {
    let store: LocalJournalStore
    let name: SegmentName
    let hints: RecoveryHints

    private var fileSystem: any FileSystem { store.fileSystem }
    private var path: String { store.directory.path(of: name) }

    /// Leaves the store with an active segment that ends at the last whole command.
    func run() throws(JournalError) -> OpenedJournal {
        let bytes: [UInt8]
        do { bytes = try readWholeFile(path, on: fileSystem) } catch { throw .file(error) }
        let scan = try TailScan(bytes, file: name)
        let isClean = scan.lastCRC.map { hints.isCleanStop(scan.lastWhole, $0, scan.lastBody) } ?? false
        let facts = scan.facts(
            previousCarriesSynced: try store.directory.carriesSynced(before: name),
            snapshotBeyond: hints.snapshotBeyond(scan.lastWhole), isCleanStop: isClean)
        var cut: OpenedJournal.Cut?
        let decision = RecoveryTable.decide(facts)
        if decision == .rewrite || decision == .cutAndRewrite {
            // The run that ended has reserved space behind the lines, which a full disk may have nowhere else.
            do { try store.releaseReservation(of: name) } catch { throw .file(error) }
        }
        switch decision {
        case .refuse(let refusal):
            throw scan.damage(refusal, file: name)
        case .appendInPlace:
            try adopt(bytes, scan)
        case .rewrite:
            try rewrite(bytes, scan)
        case .cutAndRewrite:
            let kept = try keepAside(bytes, scan)
            do throws(JournalError) { try rewrite(bytes, scan) } catch {
                // Nothing was cut: the next try keeps the bytes aside again, and a full disk needs the room.
                if case .file(let failure) = error, failure.isDiskFull { try remove(kept.file) }
                throw error
            }
            cut = kept
        }
        var lastTime = scan.lastTime
        if lastTime == nil { lastTime = try previousTime(scan) }
        return OpenedJournal(
            last: scan.lastWhole, lastTime: lastTime, activeBytes: Int64(scan.wholeBytes),
            activeHasEvents: scan.lastWhole >= scan.header.first, cut: cut)
    }

    /// Of a segment without events: the time of the journal's last event, from the segment before.
    private func previousTime(_ scan: TailScan) throws(JournalError) -> LogTime? {
        guard scan.header.first > LogPosition(1) else { return nil }
        var time: LogTime?
        try LogReader(store.directory, from: scan.header.first.previous).forEach { line throws(JournalError) in
            time = line.time
            return true
        }
        return time
    }

    private func adopt(_ bytes: [UInt8], _ scan: TailScan) throws(JournalError) {
        do {
            let file = try fileSystem.open(path, .update)
            let reserved = try store.reserve(file, upTo: Int64(bytes.count) + LocalJournalStore.leastReservation)
            adopt(file, bytes, scan, reserved, isNamed: true)
        } catch { throw .file(error) }
    }

    /// Never appends to the file that an unclean stop left: after an I/O error the page cache may hold what the disk
    /// does not. The good lines are written anew, byte for byte, so the chain holds.
    private func rewrite(_ bytes: [UInt8], _ scan: TailScan) throws(JournalError) {
        do throws(FileError) {
            let file = try fileSystem.open(path + ".tmp", .replace)
            try writeAnew(bytes, scan, file)
        } catch {
            // What was written of it takes room that the next try needs.
            if error.isDiskFull { try remove(name.text + ".tmp") }
            throw .file(error)
        }
    }

    private func remove(_ file: String) throws(JournalError) {
        do throws(FileError) { try fileSystem.remove(store.directory.path + "/" + file) } catch {
            if !error.isNotFound { throw .file(error) }
        }
    }

    private func writeAnew(_ bytes: [UInt8], _ scan: TailScan, _ file: any File) throws(FileError) {
        do throws(FileError) {
            let reserved = try store.reserve(file, upTo: Int64(scan.wholeBytes) + LocalJournalStore.leastReservation)
            try writeAll(Array(bytes[..<scan.wholeBytes]), to: file, at: 0)
            try file.sync()
            // A journal that has no event is begun anew: its first append gives the segment its name.
            let hasEvents = scan.lastWhole > .zero
            if hasEvents { try store.giveName(name) }
            adopt(file, bytes, scan, reserved, isNamed: hasEvents)
        } catch {
            file.close()
            throw error
        }
    }

    private func adopt(_ file: any File, _ bytes: [UInt8], _ scan: TailScan, _ reservedEnd: Int64, isNamed: Bool) {
        var hash = SHA256()
        hash.update(data: bytes[..<scan.wholeBytes])
        store.adopt(
            LocalJournalStore.Active(
                name: name, file: file, header: scan.header, size: Int64(scan.wholeBytes), reservedEnd: reservedEnd,
                hash: hash, last: scan.lastWhole, isNamed: isNamed))
    }

    private func keepAside(_ bytes: [UInt8], _ scan: TailScan) throws(JournalError) -> OpenedJournal.Cut {
        let tail = Array(bytes[scan.wholeBytes...])
        let stamp = LogTime.now().description.filter { $0.isNumber || $0 == "T" || $0 == "Z" }
        let file = "cut-\(scan.lastWhole.next)-\(stamp)"
        do throws(FileError) {
            var output = try AtomicFile(store.directory.path + "/" + file, on: fileSystem)
            do throws(FileError) {
                try output.append(tail)
                try output.commit()
            } catch {
                output.abandon()
                throw error
            }
        } catch { throw .file(error) }
        return OpenedJournal.Cut(
            file: file, bytes: Int64(tail.count), first: scan.lastWhole.next,
            sha256: hexString(SHA256.hash(data: tail)))
    }
}

extension JournalDirectory {
    /// Whether the segment before one begins with an event that carries `synced`: who wrote this journal, where that
    /// segment's own first event cannot be read. The first segment takes its name with its first write whole, so there
    /// power loss leaves no such end.
    func carriesSynced(before name: SegmentName) throws(JournalError) -> Bool {
        guard let previous = try segments().last(where: { $0.first < name.first }), let file = try open(previous),
            let chunk = try SegmentChunks(previous, file: file).next()
        else { return false }
        for line in chunk.bytes.split(separator: 10, maxSplits: 3) {
            if let synced = line.withUnsafeBufferPointer({ LogLine($0).map { $0.synced != nil } }) { return synced }
        }
        return false
    }
}
