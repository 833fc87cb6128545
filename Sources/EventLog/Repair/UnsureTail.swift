import Glibc

/// The end of the newest segment that the next start may cut: what repair leaves alone.
enum UnsureTail {
    /// How many bytes at the end may be one unfinished write, by recovery's rule; 0 where nothing may.
    ///
    /// `last`: the position before the segment; `stateBeyond`: where a good state stands beyond a position, if one does.
    static func bytes(
        of segment: [UInt8], after last: LogPosition, stateBeyond: (LogPosition) -> LogPosition?
    ) -> Int {
        var good = last
        let carriesSynced = firstCarriesSynced(segment, after: last)
        /// Where the first bad line begins that no later line shows to be damage.
        var unsure: Int?
        segment.withUnsafeBufferPointer { buffer in
            var at = 0
            while at < buffer.count {
                let newline = lineEnd(in: buffer, from: at)
                let raw = UnsafeBufferPointer(rebasing: buffer[at..<(newline ?? buffer.count)])
                if newline == nil {
                    unsure = unsure ?? at
                } else if let line = LogLine(raw) {
                    if unsure == nil || line.synced.map({ $0 > good }) ?? false || carriesSynced == false {
                        unsure = nil
                        good = max(good, line.position)
                    }
                } else if let gap = GapLine(raw) {
                    unsure = nil
                    good = max(good, gap.last)
                } else if at > 0 {
                    unsure = unsure ?? at
                }
                at = (newline ?? buffer.count) + 1
            }
        }
        guard let unsure else { return 0 }
        let size = segment.count - unsure
        return Int64(size) > RecoveryTable.largestWriteBytes || stateBeyond(good) != nil ? 0 : size
    }

    /// Whether the event that comes first behind a position carries `synced`, wherever it stands: repair puts it first. Nil
    /// without any.
    private static func firstCarriesSynced(_ segment: [UInt8], after last: LogPosition) -> Bool? {
        segment.withUnsafeBufferPointer { buffer in
            var first: (position: LogPosition, carries: Bool)?
            var at = 0
            while let end = lineEnd(in: buffer, from: at) {
                if let line = LogLine(UnsafeBufferPointer(rebasing: buffer[at..<end])), line.position > last,
                    first.map({ line.position < $0.position }) ?? true
                {
                    first = (line.position, line.synced != nil)
                }
                at = end + 1
            }
            return first?.carries
        }
    }
}
