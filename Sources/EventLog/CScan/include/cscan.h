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
