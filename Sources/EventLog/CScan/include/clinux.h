// Linux calls that Swift's Glibc module leaves out: they need _GNU_SOURCE, or are variadic.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// fallocate with FALLOC_FL_KEEP_SIZE: reserves blocks without changing the file's size. 0, or -1 with errno.
int clinux_reserve(int descriptor, int64_t offset, int64_t bytes);
/// Names the calling thread; at most 15 bytes.
void clinux_name_thread(const char *name);
/// Lets other threads go first: the calling thread alone gets a lower priority (on Linux, who 0 means the thread).
void clinux_yield_to_others(void);
/// memmem: where some bytes stand among others; NULL where they do not.
const void *clinux_find(const void *bytes, size_t count, const void *wanted, size_t wanted_count);
/// Looks at a child without waiting and without reaping it: the kernel's own waitid, whose fifth argument (the resources
/// used) the C library hides, while wait4 shows them and always reaps. 0: it runs; 1: it has ended, and its greatest
/// resident set is stored; -1 with errno.
int clinux_look_at_child(int32_t pid, int64_t *max_rss_bytes);

/// Blocks of memory up to 32 MiB that are freed stay with the process for the next of their kind, up to 64 MiB a heap.
void clinux_keep_freed_memory(void);

/// When an open file was made, in nanoseconds since 1970 (statx(2)); 0 where the system does not tell.
int64_t clinux_birth_nanoseconds(int descriptor);

/// The number of the file system's kind at a path (statfs(2)); 0 where the system does not tell.
unsigned clinux_filesystem_type(const char *path);

/// The last of some bytes that has this value; NULL where none does.
const uint8_t *clinux_find_last(const uint8_t *bytes, size_t count, uint8_t value);
