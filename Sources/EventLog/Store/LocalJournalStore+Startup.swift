/// What a start tidies and checks before it looks at the newest segment. The journal's lock is held.
extension LocalJournalStore {
    /// Deletes unfinished files: nothing but `.tmp`.
    func removeUnfinished() throws(FileError) {
        var removed = false
        for name in try fileSystem.list(directory.path) where name.hasSuffix(".tmp") {
            try fileSystem.remove(directory.path + "/" + name)
            removed = true
        }
        if removed { try fileSystem.syncDirectory(directory.path) }
    }

    /// Of a sealed segment that stands plain and compressed, removes the plain one, or the other if it is damaged.
    func settleDoubles(_ names: [SegmentName], newest: SegmentName) throws(JournalError) {
        let plain = Set(names.filter { !$0.isCompressed }.map(\.first))
        for name in names where name.isCompressed && plain.contains(name.first) {
            let plainName = SegmentName(first: name.first)
            let isSame = try holdsSame(compressed: name, plain: plainName)
            let goes: SegmentName
            if isSame {
                goes = plainName
            } else {
                // Where both are damaged, none is removed: the damage is named, and repair takes what it can.
                let isGood = try compressedIsGood(name)
                if !isGood { try directory.readThrough(plainName) }
                goes = isGood ? plainName : name
            }
            do {
                // The name that stays may be a rename that was never synced: it must not go with a power loss now.
                try fileSystem.syncDirectory(directory.path)
                try fileSystem.remove(directory.path(of: goes))
                try fileSystem.syncDirectory(directory.path)
            } catch { throw .file(error) }
        }
    }

    private func holdsSame(compressed: SegmentName, plain: SegmentName) throws(JournalError) -> Bool {
        guard let a = try directory.open(compressed), let b = try directory.open(plain) else { return false }
        do throws(JournalError) {
            let left = try SegmentChunks(compressed, file: a, checkingTrailers: true)
            let expected: [UInt8]
            do { expected = try readBytes(of: b, at: 0, count: Int(try b.sizeBytes())) } catch { throw .file(error) }
            var at = 0
            while let chunk = try left.next() {
                guard at + chunk.bytes.count <= expected.count,
                    expected[at..<(at + chunk.bytes.count)].elementsEqual(chunk.bytes)
                else { return false }
                at += chunk.bytes.count
            }
            return at == expected.count
        } catch {
            if case .damage = error { return false }
            throw error
        }
    }

    /// Whether every line of a compressed file is good, and its gzip frame too.
    func compressedIsGood(_ name: SegmentName) throws(JournalError) -> Bool {
        do throws(JournalError) {
            try directory.readThrough(name)
            return true
        } catch {
            if case .damage = error { return false }
            throw error
        }
    }
}
