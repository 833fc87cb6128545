#pragma once
#include <stdint.h>

// Takes the place of the slow path of Swift's Mutex, so that the thread sanitizer sees who waits for whom: the library's own
// goes through the kernel, out of its sight, and every contended lock would look like a race.
//
// The word holds the owner's thread id, 0 while it is free; the fast paths are compiled into whoever calls them.
__attribute__((swiftcall)) void traced_mutex_lock(uint32_t thread, __attribute__((swift_context)) uint32_t *word)
    __asm__("$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF");
