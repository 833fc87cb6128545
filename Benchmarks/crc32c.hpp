// crc32c.hpp - CRC-32C (Castagnoli, reflected polynomial 82f63b78): by the processor's instruction where it has
// one, else by a table. crc32c("123456789", 9) == 0xe3069283.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) inline uint32_t crc32cByInstruction(const char *p, size_t n) {
  uint64_t c = 0xffffffff;
  for (; n >= 8; n -= 8, p += 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    c = _mm_crc32_u64(c, word);
  }
  for (; n; n--) c = _mm_crc32_u8(uint32_t(c), uint8_t(*p++));
  return ~uint32_t(c);
}
#endif

inline uint32_t crc32cByTable(const char *p, size_t n) {
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> t;
    for (uint32_t i = 0; i < 256; i++) {
      uint32_t c = i;
      for (int k = 0; k < 8; k++) c = (c >> 1) ^ (c & 1 ? 0x82f63b78u : 0);
      t[i] = c;
    }
    return t;
  }();
  uint32_t c = 0xffffffff;
  while (n--) c = (c >> 8) ^ table[(c ^ uint8_t(*p++)) & 255];
  return ~c;
}

inline uint32_t crc32c(const char *p, size_t n) {
#if defined(__x86_64__)
  static const bool instruction = __builtin_cpu_supports("sse4.2");
  if (instruction) return crc32cByInstruction(p, n);
#endif
  return crc32cByTable(p, n);
}
