// See include/kill_at_call.h.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls;
static long deadly = -1;
static int inside;

__attribute__((constructor)) static void begin(void) {
    const char *at = getenv("KILL_AT_CALL");
    if (!at) return;
    deadly = atol(at);
    inside = strstr(at, ".5") != NULL;
}

__attribute__((destructor)) static void end(void) {
    const char *path = getenv("KILL_COUNT_TO");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    fprintf(file, "%ld\n", atomic_load(&calls));
    fclose(file);
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/// Counts a call; true where the process is to end in it.
static int ends(void) {
    if (atomic_fetch_add(&calls, 1) + 1 != deadly) return 0;
    if (!inside) die();
    return 1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define COUNTED(result_type, name, parameters, arguments)        \
    result_type name parameters {                                \
        int is_last = ends();                                    \
        result_type result = NEXT(name) arguments;               \
        if (is_last) die();                                      \
        return result;                                           \
    }

COUNTED(int, fsync, (int descriptor), (descriptor))
COUNTED(int, fdatasync, (int descriptor), (descriptor))
COUNTED(int, ftruncate, (int descriptor, off_t size), (descriptor, size))
COUNTED(int, fallocate, (int descriptor, int mode, off_t offset, off_t size), (descriptor, mode, offset, size))
COUNTED(int, rename, (const char *from, const char *to), (from, to))
COUNTED(int, link, (const char *from, const char *to), (from, to))
COUNTED(int, unlink, (const char *path), (path))
COUNTED(int, mkdir, (const char *path, mode_t mode), (path, mode))

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
    int is_last = ends();
    ssize_t written = NEXT(pwrite)(descriptor, bytes, is_last ? count / 2 : count, offset);
    if (is_last) die();
    return written;
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    int is_last = flags & (O_CREAT | O_TRUNC) ? ends() : 0;
    int descriptor = NEXT(open)(path, flags, mode);
    if (is_last) die();
    return descriptor;
}
