extension Event.Silence {
    /// Reads what a `requeued` event tells of a silence: its line's body. Nil where it tells nothing.
    public init?(_ body: UnsafeBufferPointer<UInt8>) {
        var (seconds, limit, rule): (Double?, Double?, Rule?) = (nil, nil, nil)
        let object = [123] + Array(body) + [125]
        object.withUnsafeBufferPointer { buffer in
            var reader = JSONReader(buffer, formOnly: true)
            do throws(JSONError) {
                try reader.object { key, reader throws(JSONError) in
                    switch key {
                    case "silent_s": seconds = try reader.double()
                    case "limit_s": limit = try reader.double()
                    case "limit": rule = Rule(rawValue: try reader.string())
                    default: try reader.skip()
                    }
                }
            } catch { rule = nil }  // members of another form than ours: nothing is told
        }
        guard let seconds, let limit, let rule else { return nil }
        self.init(seconds: seconds, limitSeconds: limit, rule: rule)
    }
}
