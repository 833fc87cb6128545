// Raw inflate (RFC 1951), piece by piece, for lines that carry a checksum of their own.
//
// Why not zlib here: matches of journal lines are long, and zlib 1.2 copies them three bytes at a time. What this makes of
// a stream is what zlib makes of it, and it refuses what zlib refuses; tests compare them, and `verify` reads with zlib.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct cinflate;

enum cinflate_status {
    /// All input was taken, or all room filled: call again with more.
    cinflate_going = 0,
    /// The last block has ended; input behind it was not taken.
    cinflate_ended = 1,
    /// The bytes are no deflate data; see cinflate_problem.
    cinflate_corrupt = 2,
};

/// A decoder at the beginning of a stream; NULL: out of memory.
struct cinflate *_Nullable cinflate_make(void);
void cinflate_free(struct cinflate *_Nullable decoder);
/// Begins a new stream.
void cinflate_reset(struct cinflate *_Nonnull decoder);
/// Takes bytes from `input` at *taken and puts bytes into `output` at *made; advances both. Never reads or writes
/// outside [0, input_size) and [0, output_size). Output before *made is not needed again.
enum cinflate_status cinflate_step(struct cinflate *_Nonnull decoder, const uint8_t *_Nonnull input, size_t input_size,
                                   size_t *_Nonnull taken, uint8_t *_Nonnull output, size_t output_size,
                                   size_t *_Nonnull made);
/// What is wrong, after cinflate_corrupt.
const char *_Nonnull cinflate_problem(const struct cinflate *_Nonnull decoder);
