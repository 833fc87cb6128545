#include "cscan.h"
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Tables for slicing by eight, made at first use; idempotent, so a race only writes the same values twice.
static uint32_t table[8][256];
static volatile int table_ready = 0;

static void make_table(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = (c & 1) ? (c >> 1) ^ 0x82F63B78u : c >> 1;
        table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++) table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 255];
    __atomic_store_n(&table_ready, 1, __ATOMIC_RELEASE);
}

uint32_t cscan_crc32c_portable(const uint8_t *p, size_t n) {
    if (!__atomic_load_n(&table_ready, __ATOMIC_ACQUIRE)) make_table();
    uint32_t c = 0xFFFFFFFFu;
    while (n >= 8) {
        uint32_t a, b;
        memcpy(&a, p, 4);
        memcpy(&b, p + 4, 4);
        a ^= c;
        c = table[7][a & 255] ^ table[6][(a >> 8) & 255] ^ table[5][(a >> 16) & 255] ^ table[4][a >> 24] ^
            table[3][b & 255] ^ table[2][(b >> 8) & 255] ^ table[1][(b >> 16) & 255] ^ table[0][b >> 24];
        p += 8;
        n -= 8;
    }
    while (n--) c = (c >> 8) ^ table[0][(c ^ *p++) & 255];
    return ~c;
}

const uint8_t *cscan_string_stop_portable(const uint8_t *p, const uint8_t *end) {
    while (p < end && *p != '"' && *p != '\\') p++;
    return p;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(const uint8_t *p, size_t n) {
    uint64_t c = 0xFFFFFFFFu;
    while (n >= 8) {
        uint64_t v;
        memcpy(&v, p, 8);
        c = _mm_crc32_u64(c, v);
        p += 8;
        n -= 8;
    }
    uint32_t d = (uint32_t)c;
    while (n--) d = _mm_crc32_u8(d, *p++);
    return ~d;
}

uint32_t cscan_crc32c(const uint8_t *p, size_t n) {
    if (__builtin_cpu_supports("sse4.2")) return crc32c_sse42(p, n);
    return cscan_crc32c_portable(p, n);
}

const uint8_t *cscan_string_stop(const uint8_t *p, const uint8_t *end) {
    const __m128i quote = _mm_set1_epi8('"'), back = _mm_set1_epi8('\\');
    while (end - p >= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)p);
        int m = _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, back)));
        if (m) return p + __builtin_ctz((unsigned)m);
        p += 16;
    }
    return cscan_string_stop_portable(p, end);
}
#else
uint32_t cscan_crc32c(const uint8_t *p, size_t n) { return cscan_crc32c_portable(p, n); }
const uint8_t *cscan_string_stop(const uint8_t *p, const uint8_t *end) { return cscan_string_stop_portable(p, end); }
#endif

// Behind the closing quote of the string whose opening quote is at p; *escaped is set where a backslash was met.
static inline const uint8_t *string_end(const uint8_t *p, const uint8_t *end, int *escaped) {
    p++;
    for (;;) {
        p = cscan_string_stop(p, end);
        if (p >= end) return NULL;
        if (*p == '"') return p + 1;
        *escaped = 1;
        if (end - p < 2) return NULL;
        p += 2;
    }
}

// The first '"', bracket or brace in [p, end), or end.
static inline const uint8_t *structure(const uint8_t *p, const uint8_t *end) {
#if defined(__x86_64__)
    // '[' and ']' become '{' and '}' by their bit 0x20.
    const __m128i quote = _mm_set1_epi8('"'), bit = _mm_set1_epi8(0x20), open = _mm_set1_epi8('{'),
                  close = _mm_set1_epi8('}');
    while (end - p >= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)p), w = _mm_or_si128(v, bit);
        int m = _mm_movemask_epi8(_mm_or_si128(
            _mm_cmpeq_epi8(v, quote), _mm_or_si128(_mm_cmpeq_epi8(w, open), _mm_cmpeq_epi8(w, close))));
        if (m) return p + __builtin_ctz((unsigned)m);
        p += 16;
    }
#endif
    while (p < end && *p != '"' && (*p | 0x20) != '{' && (*p | 0x20) != '}') p++;
    return p;
}

static inline const uint8_t *value_end(const uint8_t *p, const uint8_t *end, int *escaped) {
    if (p >= end) return NULL;
    if (*p == '"') return string_end(p, end, escaped);
    if (*p == '{' || *p == '[') {
        size_t depth = 0;
        int ignored = 0;
        for (;;) {
            p = structure(p, end);
            if (p >= end) return NULL;
            if (*p == '"') {
                p = string_end(p, end, &ignored);
                if (!p) return NULL;
                continue;
            }
            if ((*p++ | 0x20) == '{') depth++;
            else if (--depth == 0) return p;
        }
    }
    while (p < end && *p != ',' && *p != '}' && *p != ']') p++;
    return p;
}

const uint8_t *cscan_value_end(const uint8_t *p, const uint8_t *end) {
    int ignored = 0;
    return value_end(p, end, &ignored);
}

static inline const uint8_t *next_member(const uint8_t *p, const uint8_t *end, struct cscan_member *member) {
    int ignored = 0;
    if (p >= end || *p != '"') return NULL;
    const uint8_t *key_end = string_end(p, end, &ignored);
    if (!key_end || key_end >= end || *key_end != ':') return NULL;
    member->key = p + 1;
    member->key_size = (size_t)(key_end - p - 2);
    uint64_t word = 0;
    if (member->key_size >= 8) memcpy(&word, p + 1, 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    else if (member->key_size > 0 && end - p > 8) {
        memcpy(&word, p + 1, 8);
        word &= ~0ull >> (64 - 8 * member->key_size);
    }
#endif
    else memcpy(&word, p + 1, member->key_size);
    member->key_word = word;
    member->value = key_end + 1;
    member->value_is_escaped = 0;
    const uint8_t *behind = value_end(key_end + 1, end, &member->value_is_escaped);
    if (!behind) return NULL;
    member->value_size = (size_t)(behind - member->value);
    if (behind == end || *behind == '}') return behind;
    // A comma with nothing behind it is no end.
    return *behind == ',' && end - behind > 1 ? behind + 1 : NULL;
}

const uint8_t *cscan_member(const uint8_t *p, const uint8_t *end, struct cscan_member *member) {
    return next_member(p, end, member);
}

ptrdiff_t cscan_members(const uint8_t *base, const uint8_t *p, const uint8_t *end, struct cscan_span *spans,
                        size_t capacity) {
    size_t count = 0;
    struct cscan_member member;
    while (p < end) {
        if (count == capacity) return -1;
        p = next_member(p, end, &member);
        if (!p || member.key_size > UINT16_MAX) return -1;
        spans[count++] = (struct cscan_span){
            .key_word = member.key_word,
            .key = (uint32_t)(member.key - base),
            .value = (uint32_t)(member.value - base),
            .value_size = (uint32_t)member.value_size,
            .key_size = (uint16_t)member.key_size,
            .value_is_escaped = (uint16_t)(member.value_is_escaped != 0),
        };
    }
    return (ptrdiff_t)count;
}
