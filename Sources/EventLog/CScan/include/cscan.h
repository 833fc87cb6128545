// Byte scans of the journal's hot path: CRC-32C and the ends of JSON strings and values.
// Each has a portable twin; the vector form is chosen once, at run time.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `size` bytes. "123456789" gives e3069283.
uint32_t cscan_crc32c(const uint8_t *bytes, size_t size);
/// The portable twin of cscan_crc32c, byte by byte from a table.
uint32_t cscan_crc32c_portable(const uint8_t *bytes, size_t size);

/// The first '"' or '\\' in [p, end), or end.
const uint8_t *cscan_string_stop(const uint8_t *p, const uint8_t *end);
/// The portable twin of cscan_string_stop.
const uint8_t *cscan_string_stop_portable(const uint8_t *p, const uint8_t *end);

/// Just behind the JSON value that begins at p, or NULL where [p, end) ends first. Does not validate:
/// for lines whose checksum has been found right.
const uint8_t *cscan_value_end(const uint8_t *p, const uint8_t *end);

/// One member of a JSON object, as it stands in the text.
struct cscan_member {
    /// Behind the key's opening quote.
    const uint8_t *key;
    size_t key_size;
    /// The key's first eight bytes as they lie in memory, the rest zero: keys are compared as one number.
    uint64_t key_word;
    const uint8_t *value;
    size_t value_size;
    /// Not 0 where the value is a string with a backslash in it.
    int value_is_escaped;
};

/// Reads the member that begins at p (at its key's opening quote). Returns where the next one begins; behind the last
/// one the closing brace or `end`; NULL where the text ends first or is none. Does not validate values.
const uint8_t *cscan_member(const uint8_t *p, const uint8_t *end, struct cscan_member *member);

/// A member by where it stands behind some first byte: can be kept and handed to another thread with the bytes.
struct cscan_span {
    /// As in cscan_member.
    uint64_t key_word;
    uint32_t key;
    uint32_t value;
    uint32_t value_size;
    uint16_t key_size;
    uint16_t value_is_escaped;
};

/// Reads all members in [p, end), at most `capacity`, as places behind `base`. Returns how many; -1 where the text ends
/// inside one or there are more.
ptrdiff_t cscan_members(const uint8_t *base, const uint8_t *p, const uint8_t *end, struct cscan_span *spans,
                        size_t capacity);
