// sync_append.c - how long one append takes to be durable on this disk: one write and one fdatasync at a time.
//
// Build: gcc -O2 -o sync_append sync_append.c
// Run:   ./sync_append FILE BYTES SECONDS reserved|growing
//   reserved : space is reserved beyond the end of file (FALLOC_FL_KEEP_SIZE), as the manager and ideal_server do
//   growing  : plain appends
// FILE is created and removed. Prints one JSON object.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  if (argc != 5 || atol(argv[2]) < 1) {
    fprintf(stderr, "usage: sync_append FILE BYTES SECONDS reserved|growing\n");
    return 64;
  }
  size_t bytes = (size_t)atol(argv[2]), most = 1000000, n = 0;
  double limit = atof(argv[3]), *took = malloc(most * sizeof *took);
  char *buffer = malloc(bytes);
  memset(buffer, 'x', bytes), buffer[bytes - 1] = '\n';
  int fd = open(argv[1], O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644), reserve = argv[4][0] == 'r';
  if (fd < 0) return perror(argv[1]), 1;
  off_t end = 0, reserved = 0;
  double begin = now(), last = begin;
  while (n < most && last - begin < limit) {
    if (reserve && end + (off_t)bytes > reserved) {
      if (fallocate(fd, FALLOC_FL_KEEP_SIZE, reserved, 64 << 20)) return perror("fallocate"), 1;
      reserved += 64 << 20;
    }
    if (pwrite(fd, buffer, bytes, end) != (ssize_t)bytes || fdatasync(fd)) return perror("append"), 1;
    end += (off_t)bytes;
    double t = now();
    took[n++] = t - last, last = t;
  }
  close(fd);
  unlink(argv[1]);
  qsort(took, n, sizeof *took, compare);
  printf("{\"mode\":\"%s\",\"bytes\":%zu,\"n\":%zu,\"per_s\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f}\n", argv[4], bytes, n, n / (last - begin), took[n / 2] * 1e6,
         took[(size_t)(n * .99)] * 1e6);
}
