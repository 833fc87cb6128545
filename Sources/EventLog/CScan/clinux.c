#define _GNU_SOURCE
#include "clinux.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>

int clinux_reserve(int descriptor, int64_t offset, int64_t bytes) {
    return fallocate(descriptor, FALLOC_FL_KEEP_SIZE, offset, bytes);
}

void clinux_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
