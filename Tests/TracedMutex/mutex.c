#include "traced_mutex.h"
#include <sched.h>

__attribute__((swiftcall)) void traced_mutex_lock(uint32_t thread, __attribute__((swift_context)) uint32_t *word) {
    uint32_t none = 0;
    // Nobody ever sleeps in the kernel, so that unlocking always takes its fast path.
    while (!__atomic_compare_exchange_n(word, &none, thread, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        none = 0;
        sched_yield();
    }
}
