#include "cinflate.h"
#include <stdlib.h>
#include <string.h>

// Table entries, 32 bits:
//   literal         value << 16 | LITERAL | bits of the code
//   length, dist    base << 16 | extra bits << 8 | BASE | bits of the code
//   end of block    END | bits of the code
//   longer code     first entry of its table << 16 | bits of that table << 8 | LINK | TABLE_BITS
//   no code         0
#define LITERAL 0x80u
#define BASE 0x40u
#define END 0x20u
#define LINK 0x60u
#define KIND(entry) ((entry) & 0xE0u)
#define CODE_BITS(entry) ((entry) & 0x1Fu)
#define EXTRA_BITS(entry) (((entry) >> 8) & 0x1Fu)
#define VALUE(entry) ((entry) >> 16)

enum { LITERAL_TABLE_BITS = 11, DISTANCE_TABLE_BITS = 9, LENGTHS_TABLE_BITS = 7 };
// Enough for any set of codes of at most 15 bits: the first table and the tables behind it.
enum { LITERAL_ENTRIES = 2400, DISTANCE_ENTRIES = 1024 };
enum { WINDOW = 32768, LONGEST_MATCH = 258 };

enum state { AT_BLOCK, IN_STORED_HEAD, IN_STORED, IN_COUNTS, IN_LENGTHS_OF_LENGTHS, IN_LENGTHS, IN_CODES, AT_END, BROKEN };

struct cinflate {
    uint64_t bits;
    unsigned bit_count;
    enum state state;
    int is_last;
    const char *problem;
    // A stored block's bytes that are still to come.
    unsigned stored;
    // A match that did not fit into the room.
    unsigned match_length, match_distance;
    // The code lengths of a dynamic block that were read so far.
    unsigned literal_codes, distance_codes, length_codes, read;
    uint8_t lengths[320];
    uint32_t literals[LITERAL_ENTRIES];
    uint32_t distances[DISTANCE_ENTRIES];
    // The newest bytes of the stream that earlier calls made, the last one at window[WINDOW - 1].
    size_t window_size;
    uint8_t window[WINDOW];
};

struct cinflate *cinflate_make(void) {
    struct cinflate *d = malloc(sizeof *d);
    if (d) cinflate_reset(d);
    return d;
}

void cinflate_free(struct cinflate *d) { free(d); }

void cinflate_reset(struct cinflate *d) {
    d->bits = 0;
    d->bit_count = 0;
    d->state = AT_BLOCK;
    d->is_last = 0;
    d->problem = "";
    d->match_length = 0;
    d->window_size = 0;
}

const char *cinflate_problem(const struct cinflate *d) { return d->problem; }

static const uint16_t length_base[29] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                         31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
static const uint8_t length_extra[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
static const uint16_t distance_base[30] = {1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
                                           193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};

static uint32_t literal_entry(unsigned symbol) {
    if (symbol < 256) return symbol << 16 | LITERAL;
    if (symbol == 256) return END;
    // 286 and 287 take part in the fixed code but never occur.
    return symbol < 286 ? (uint32_t)length_base[symbol - 257] << 16 | (uint32_t)length_extra[symbol - 257] << 8 | BASE : 0;
}

static uint32_t distance_entry(unsigned symbol) {
    if (symbol >= 30) return 0;
    return (uint32_t)distance_base[symbol] << 16 | (uint32_t)(symbol < 4 ? 0 : (symbol - 2) / 2) << 8 | BASE;
}

static uint32_t plain_entry(unsigned symbol) { return symbol << 16 | LITERAL; }

// Fills a decoding table of `capacity` entries from code lengths. 0: the lengths make no code, since there are too many
// codes, or too few and not the one such case that encoders use: a single code of one bit (RFC 1951, section 3.2.7).
static int make_table(uint32_t *table, unsigned table_bits, unsigned capacity, const uint8_t *lengths, unsigned count,
                      uint32_t (*entry)(unsigned), int may_be_single) {
    unsigned left_of[16] = {0}, next[16] = {0}, place[17] = {0};
    uint16_t sorted[320];
    for (unsigned i = 0; i < count; i++) left_of[lengths[i]]++;
    memset(table, 0, sizeof(uint32_t) << table_bits);
    if (left_of[0] == count) return may_be_single;
    left_of[0] = 0;
    int unused = 1;
    unsigned longest = 0;
    for (unsigned length = 1; length < 16; length++) {
        unused = unused * 2 - (int)left_of[length];
        if (unused < 0) return 0;
        next[length] = (next[length - 1] + left_of[length - 1]) << 1;
        place[length + 1] = place[length] + left_of[length];
        if (left_of[length]) longest = length;
    }
    if (unused > 0 && !(may_be_single && longest == 1)) return 0;
    unsigned used = place[16];
    for (unsigned symbol = 0; symbol < count; symbol++)
        if (lengths[symbol]) sorted[place[lengths[symbol]]++] = (uint16_t)symbol;

    unsigned end = 1u << table_bits, prefix = ~0u, start = 0, more_bits = 0;
    for (unsigned i = 0; i < used; i++) {
        unsigned symbol = sorted[i], length = lengths[symbol], code = next[length]++, reversed = 0;
        for (unsigned bit = 0; bit < length; bit++) reversed |= ((code >> bit) & 1) << (length - 1 - bit);
        uint32_t value = entry(symbol);
        if (length <= table_bits) {
            if (value) value |= length;
            for (unsigned at = reversed; at < 1u << table_bits; at += 1u << length) table[at] = value;
        } else {
            // Codes that begin alike follow each other; their table is as large as the codes left need it.
            if ((reversed & ((1u << table_bits) - 1)) != prefix) {
                prefix = reversed & ((1u << table_bits) - 1);
                more_bits = length - table_bits;
                int room = 1 << more_bits;
                while (table_bits + more_bits < longest) {
                    room -= (int)left_of[table_bits + more_bits];
                    if (room <= 0) break;
                    more_bits++;
                    room <<= 1;
                }
                start = end;
                end += 1u << more_bits;
                if (end > capacity) return 0;
                memset(table + start, 0, sizeof(uint32_t) << more_bits);
                table[prefix] = start << 16 | more_bits << 8 | LINK | table_bits;
            }
            if (value) value |= length - table_bits;
            for (unsigned at = reversed >> table_bits; at < 1u << more_bits; at += 1u << (length - table_bits))
                table[start + at] = value;
        }
        left_of[length]--;
    }
    return 1;
}

static void make_fixed_tables(struct cinflate *d) {
    memset(d->lengths, 8, 144);
    memset(d->lengths + 144, 9, 112);
    memset(d->lengths + 256, 7, 24);
    memset(d->lengths + 280, 8, 8);
    make_table(d->literals, LITERAL_TABLE_BITS, LITERAL_ENTRIES, d->lengths, 288, literal_entry, 0);
    memset(d->lengths, 5, 32);
    make_table(d->distances, DISTANCE_TABLE_BITS, DISTANCE_ENTRIES, d->lengths, 32, distance_entry, 0);
}

// What one call works on.
struct work {
    struct cinflate *d;
    const uint8_t *in, *in_end;
    uint8_t *out, *out_begin, *out_end;
};

// Holds at least `count` bits, at most 48. 0: the input ends before. Between symbols fewer than 8 bits are held, so
// that what the stream does not need stays in the input.
static inline int need(struct work *w, unsigned count) {
    struct cinflate *d = w->d;
    while (d->bit_count < count) {
        if (w->in == w->in_end) return 0;
        d->bits |= (uint64_t)*w->in++ << d->bit_count;
        d->bit_count += 8;
    }
    return 1;
}

static inline unsigned drop(struct cinflate *d, unsigned count) {
    unsigned value = (unsigned)(d->bits & ((1ull << count) - 1));
    d->bits >>= count;
    d->bit_count -= count;
    return value;
}

static enum cinflate_status fail(struct cinflate *d, const char *problem) {
    d->state = BROKEN;
    d->problem = problem;
    return cinflate_corrupt;
}

enum found { FOUND, NEEDS_INPUT, NO_CODE };

// Looks up the code that begins behind the first *used bits, and counts its bits as used. Nothing is dropped, so that a
// symbol whose end has not come is looked up again.
static enum found find_code(struct work *w, const uint32_t *table, unsigned table_bits, unsigned *used, uint32_t *entry) {
    struct cinflate *d = w->d;
    for (;;) {
        uint64_t bits = d->bits >> *used;
        unsigned held = d->bit_count - *used, size = 0;
        uint32_t e = table[bits & ((1u << table_bits) - 1)];
        if (KIND(e) == LINK) {
            size = table_bits;
            e = table[VALUE(e) + ((bits >> table_bits) & ((1u << EXTRA_BITS(e)) - 1))];
        }
        size += CODE_BITS(e);
        if (e && size <= held) {
            *used += size;
            *entry = e;
            return FOUND;
        }
        if (!e && held >= 15) return NO_CODE;
        if (!need(w, d->bit_count + 1)) return NEEDS_INPUT;
    }
}

// Copies as much of the pending match as there is room for. 0: it begins before the stream.
static int copy_match(struct work *w) {
    struct cinflate *d = w->d;
    while (d->match_length > 0 && w->out < w->out_end) {
        size_t here = (size_t)(w->out - w->out_begin), distance = d->match_distance;
        size_t size = d->match_length, room = (size_t)(w->out_end - w->out);
        if (size > room) size = room;
        if (distance > here) {
            size_t before = distance - here;
            if (before > d->window_size) return 0;
            if (size > before) size = before;
            memcpy(w->out, d->window + WINDOW - before, size);
        } else {
            for (size_t i = 0; i < size; i++) w->out[i] = w->out[i - distance];
        }
        w->out += size;
        d->match_length -= (unsigned)size;
    }
    return 1;
}

static inline uint64_t load64(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

// Symbols while there is input and room for any of them. Stops at the first one that it does not take; what is wrong
// with that one the careful way tells.
static void run_fast(struct work *w) {
    struct cinflate *d = w->d;
    enum { INPUT = 16, ROOM = LONGEST_MATCH + 16 };
    const uint32_t *literals = d->literals, *distances = d->distances;
    const uint8_t *in = w->in, *in_last = w->in_end - INPUT;
    uint8_t *out = w->out, *out_last = w->out_end - ROOM;
    uint64_t bits = d->bits;
    unsigned count = d->bit_count;
    while (in <= in_last && out <= out_last) {
        // Bits above `count` are those of the bytes at `in` already: or-ing them again changes nothing.
        bits |= load64(in) << count;
        in += (63 - count) >> 3;
        count |= 56;
        uint32_t e = literals[bits & ((1u << LITERAL_TABLE_BITS) - 1)];
        if (e & LITERAL) {
            bits >>= CODE_BITS(e);
            count -= CODE_BITS(e);
            *out++ = (uint8_t)VALUE(e);
            e = literals[bits & ((1u << LITERAL_TABLE_BITS) - 1)];
            if (e & LITERAL) {
                bits >>= CODE_BITS(e);
                count -= CODE_BITS(e);
                *out++ = (uint8_t)VALUE(e);
                continue;
            }
            bits |= load64(in) << count;
            in += (63 - count) >> 3;
            count |= 56;
        }
        uint64_t rest = bits;
        unsigned used = 0;
        if (KIND(e) == LINK) {
            used = LITERAL_TABLE_BITS;
            e = literals[VALUE(e) + ((bits >> LITERAL_TABLE_BITS) & ((1u << EXTRA_BITS(e)) - 1))];
            if (e & LITERAL) {
                used += CODE_BITS(e);
                bits >>= used;
                count -= used;
                *out++ = (uint8_t)VALUE(e);
                continue;
            }
        }
        if (KIND(e) != BASE) break;
        used += CODE_BITS(e);
        rest = bits >> used;
        unsigned length = VALUE(e) + (unsigned)(rest & ((1u << EXTRA_BITS(e)) - 1));
        used += EXTRA_BITS(e);
        rest = bits >> used;
        e = distances[rest & ((1u << DISTANCE_TABLE_BITS) - 1)];
        if (KIND(e) == LINK) {
            used += DISTANCE_TABLE_BITS;
            e = distances[VALUE(e) + ((rest >> DISTANCE_TABLE_BITS) & ((1u << EXTRA_BITS(e)) - 1))];
        }
        if (KIND(e) != BASE) break;
        used += CODE_BITS(e);
        rest = bits >> used;
        size_t distance = VALUE(e) + (size_t)(rest & ((1u << EXTRA_BITS(e)) - 1));
        used += EXTRA_BITS(e);
        if (distance > (size_t)(out - w->out_begin)) break;
        bits >>= used;
        count -= used;
        const uint8_t *from = out - distance;
        uint8_t *end = out + length;
        if (distance >= 16) {
            do {
                memcpy(out, from, 16);
                out += 16;
                from += 16;
            } while (out < end);
        } else if (distance >= 8) {
            do {
                memcpy(out, from, 8);
                out += 8;
                from += 8;
            } while (out < end);
        } else {
            do *out++ = *from++;
            while (out < end);
        }
        out = end;
    }
    // Whole bytes go back to the input: fewer than 8 bits were held before, so they all came from there.
    in -= count >> 3;
    count &= 7;
    d->bits = bits & ((1ull << count) - 1);
    d->bit_count = count;
    w->in = in;
    w->out = out;
}

// The symbols of a block. Sets the state where the block has ended.
static enum cinflate_status read_codes(struct work *w) {
    struct cinflate *d = w->d;
    while (d->state == IN_CODES) {
        if (!copy_match(w)) return fail(d, "a distance reaches before the beginning");
        if (d->match_length > 0) return cinflate_going;
        if (d->bit_count < 8 && w->in_end - w->in >= 16) run_fast(w);
        unsigned used = 0;
        uint32_t e = 0;
        enum found found = find_code(w, d->literals, LITERAL_TABLE_BITS, &used, &e);
        if (found == NO_CODE) return fail(d, "a literal or length has no code");
        if (found == NEEDS_INPUT) return cinflate_going;
        // The end of a block needs no room: a stream that fills it exactly has ended.
        if (KIND(e) == END) {
            drop(d, used);
            d->state = AT_BLOCK;
            return cinflate_going;
        }
        if (w->out == w->out_end) return cinflate_going;
        if (e & LITERAL) {
            *w->out++ = (uint8_t)VALUE(e);
            drop(d, used);
            continue;
        }
        if (!need(w, used + EXTRA_BITS(e))) return cinflate_going;
        unsigned length = VALUE(e) + (unsigned)((d->bits >> used) & ((1u << EXTRA_BITS(e)) - 1));
        used += EXTRA_BITS(e);
        found = find_code(w, d->distances, DISTANCE_TABLE_BITS, &used, &e);
        if (found == NO_CODE) return fail(d, "a distance has no code");
        if (found == NEEDS_INPUT || !need(w, used + EXTRA_BITS(e))) return cinflate_going;
        d->match_distance = VALUE(e) + (unsigned)((d->bits >> used) & ((1u << EXTRA_BITS(e)) - 1));
        d->match_length = length;
        used += EXTRA_BITS(e);
        d->bits >>= used;
        d->bit_count -= used;
    }
    return cinflate_going;
}

// The code lengths of a dynamic block (RFC 1951, section 3.2.7), as far as the input goes.
static enum cinflate_status read_lengths(struct work *w) {
    static const uint8_t order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    struct cinflate *d = w->d;
    if (d->state == IN_COUNTS) {
        if (!need(w, 14)) return cinflate_going;
        d->literal_codes = drop(d, 5) + 257;
        d->distance_codes = drop(d, 5) + 1;
        d->length_codes = drop(d, 4) + 4;
        if (d->literal_codes > 286 || d->distance_codes > 30) return fail(d, "too many literal or distance codes");
        memset(d->lengths, 0, sizeof d->lengths);
        d->read = 0;
        d->state = IN_LENGTHS_OF_LENGTHS;
    }
    if (d->state == IN_LENGTHS_OF_LENGTHS) {
        while (d->read < d->length_codes) {
            if (!need(w, 3)) return cinflate_going;
            d->lengths[order[d->read++]] = (uint8_t)drop(d, 3);
        }
        // The distances' table is free until the lengths are read.
        if (!make_table(d->distances, LENGTHS_TABLE_BITS, DISTANCE_ENTRIES, d->lengths, 19, plain_entry, 0))
            return fail(d, "the codes of the code lengths are no code");
        memset(d->lengths, 0, sizeof d->lengths);
        d->read = 0;
        d->state = IN_LENGTHS;
    }
    unsigned total = d->literal_codes + d->distance_codes;
    while (d->read < total) {
        unsigned used = 0;
        uint32_t e = 0;
        enum found found = find_code(w, d->distances, LENGTHS_TABLE_BITS, &used, &e);
        if (found == NO_CODE) return fail(d, "a code length has no code");
        if (found == NEEDS_INPUT) return cinflate_going;
        unsigned symbol = VALUE(e), extra = symbol < 16 ? 0 : symbol == 16 ? 2 : symbol == 17 ? 3 : 7;
        if (!need(w, used + extra)) return cinflate_going;
        drop(d, used);
        unsigned times = symbol < 16 ? 1 : drop(d, extra) + (symbol == 18 ? 11 : 3);
        uint8_t length = (uint8_t)(symbol < 16 ? symbol : 0);
        if (symbol == 16) {
            if (d->read == 0) return fail(d, "the first code length repeats one before it");
            length = d->lengths[d->read - 1];
        }
        if (d->read + times > total) return fail(d, "more code lengths than codes");
        memset(d->lengths + d->read, length, times);
        d->read += times;
    }
    if (d->lengths[256] == 0) return fail(d, "the end of the block has no code");
    if (!make_table(d->literals, LITERAL_TABLE_BITS, LITERAL_ENTRIES, d->lengths, d->literal_codes, literal_entry, 1))
        return fail(d, "the literals' code lengths are no code");
    if (!make_table(d->distances, DISTANCE_TABLE_BITS, DISTANCE_ENTRIES, d->lengths + d->literal_codes,
                    d->distance_codes, distance_entry, 1))
        return fail(d, "the distances' code lengths are no code");
    d->state = IN_CODES;
    return cinflate_going;
}

static enum cinflate_status read_stored(struct work *w) {
    struct cinflate *d = w->d;
    if (d->state == IN_STORED_HEAD) {
        if (!need(w, 32)) return cinflate_going;
        d->stored = drop(d, 16);
        if (d->stored != (drop(d, 16) ^ 0xFFFF)) return fail(d, "a stored block's length differs from its complement");
        d->state = IN_STORED;
    }
    size_t size = d->stored;
    if (size > (size_t)(w->in_end - w->in)) size = (size_t)(w->in_end - w->in);
    if (size > (size_t)(w->out_end - w->out)) size = (size_t)(w->out_end - w->out);
    if (size > 0) memcpy(w->out, w->in, size);
    w->in += size;
    w->out += size;
    d->stored -= (unsigned)size;
    if (d->stored == 0) d->state = AT_BLOCK;
    return cinflate_going;
}

static enum cinflate_status begin_block(struct work *w) {
    struct cinflate *d = w->d;
    if (d->is_last) {
        d->state = AT_END;
        return cinflate_ended;
    }
    if (!need(w, 3)) return cinflate_going;
    d->is_last = (int)drop(d, 1);
    switch (drop(d, 2)) {
    case 0:
        drop(d, d->bit_count);
        d->state = IN_STORED_HEAD;
        return cinflate_going;
    case 1:
        make_fixed_tables(d);
        d->state = IN_CODES;
        return cinflate_going;
    case 2: d->state = IN_COUNTS; return cinflate_going;
    default: return fail(d, "a block of an unknown kind");
    }
}

// Keeps the end of what was made, for matches that the next call finds.
static void keep_window(struct cinflate *d, const uint8_t *made, size_t size) {
    if (size == 0) return;
    if (size >= WINDOW) {
        memcpy(d->window, made + size - WINDOW, WINDOW);
        d->window_size = WINDOW;
        return;
    }
    memmove(d->window, d->window + size, WINDOW - size);
    memcpy(d->window + WINDOW - size, made, size);
    d->window_size = d->window_size + size < WINDOW ? d->window_size + size : WINDOW;
}

enum cinflate_status cinflate_step(struct cinflate *d, const uint8_t *input, size_t input_size, size_t *taken,
                                   uint8_t *output, size_t output_size, size_t *made) {
    struct work w = {d, input + *taken, input + input_size, output + *made, output + *made, output + output_size};
    enum cinflate_status status = cinflate_going;
    for (;;) {
        enum state before = d->state;
        const uint8_t *in_before = w.in;
        switch (before) {
        case AT_BLOCK: status = begin_block(&w); break;
        case IN_STORED_HEAD:
        case IN_STORED: status = read_stored(&w); break;
        case IN_COUNTS:
        case IN_LENGTHS_OF_LENGTHS:
        case IN_LENGTHS: status = read_lengths(&w); break;
        case IN_CODES: status = read_codes(&w); break;
        case AT_END: status = cinflate_ended; break;
        case BROKEN: status = cinflate_corrupt; break;
        }
        if (status != cinflate_going || (d->state == before && w.in == in_before)) break;
        if (d->state == before && w.out == w.out_end) break;
    }
    keep_window(d, w.out_begin, (size_t)(w.out - w.out_begin));
    *taken = (size_t)(w.in - input);
    *made = (size_t)(w.out - output);
    return status;
}
