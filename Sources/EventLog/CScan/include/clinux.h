// Linux calls that Swift's Glibc module leaves out because they need _GNU_SOURCE.
#pragma once
#include <stdint.h>

/// fallocate with FALLOC_FL_KEEP_SIZE: reserves blocks without changing the file's size. 0, or -1 with errno.
int clinux_reserve(int descriptor, int64_t offset, int64_t bytes);
/// Names the calling thread; at most 15 bytes.
void clinux_name_thread(const char *name);
