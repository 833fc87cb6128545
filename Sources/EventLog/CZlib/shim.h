#pragma once
#include <zlib.h>

// inflateInit2 and deflateInit2 are macros, which Swift cannot call.
static inline int czlib_inflate_init2(z_stream *s, int window_bits) { return inflateInit2(s, window_bits); }
static inline int czlib_deflate_init2(z_stream *s, int level, int window_bits) {
    return deflateInit2(s, level, Z_DEFLATED, window_bits, 9, Z_DEFAULT_STRATEGY);
}
// Raw deflate by any of zlib's strategies: for tests that need every kind of block.
static inline int czlib_deflate_init_raw(z_stream *s, int level, int strategy) {
    return deflateInit2(s, level, Z_DEFLATED, -15, 1 + strategy % 9, strategy);
}
