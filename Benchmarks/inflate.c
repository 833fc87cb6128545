// inflate.c - inflates gzip files on one core with zlib and throws the bytes away: what a replay cannot do without.
//
// Build: gcc -O2 -o inflate inflate.c -lz
// Run:   ./inflate FILE.gz...      (any number of members a file)
// Prints one JSON object: bytes, seconds, the library's version.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zlib.h>

static unsigned char in[256 << 10], out[256 << 10];

static void fail(const char *path, const char *what) {
  fprintf(stderr, "inflate: %s: %s\n", path, what);
  exit(1);
}

static unsigned long long inflate_file(const char *path) {
  FILE *f = fopen(path, "rb");
  if (!f) fail(path, "cannot be opened");
  setvbuf(f, NULL, _IONBF, 0);
  z_stream z = {0};
  if (inflateInit2(&z, 31) != Z_OK) fail(path, "inflateInit2");
  unsigned long long bytes = 0;
  int ended = 0, full = 0;  // `full`: the last call may hold back output, so it is asked again before more input is read
  for (;;) {
    if (z.avail_in == 0 && !full) {
      z.next_in = in, z.avail_in = fread(in, 1, sizeof in, f);
      if (z.avail_in == 0) break;
    }
    if (ended) inflateReset(&z), ended = 0;
    z.next_out = out, z.avail_out = sizeof out;
    int rc = inflate(&z, Z_NO_FLUSH);
    if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) fail(path, z.msg ? z.msg : "damaged");
    bytes += sizeof out - z.avail_out;
    ended = rc == Z_STREAM_END;
    full = !ended && z.avail_out == 0;
  }
  if (!ended) fail(path, "ends in the middle of a member");
  inflateEnd(&z);
  fclose(f);
  return bytes;
}

int main(int argc, char **argv) {
  struct timespec a, b;
  clock_gettime(CLOCK_MONOTONIC, &a);
  unsigned long long bytes = 0;
  for (int i = 1; i < argc; i++) bytes += inflate_file(argv[i]);
  clock_gettime(CLOCK_MONOTONIC, &b);
  printf("{\"bytes\":%llu,\"seconds\":%.4f,\"zlib\":\"%s\"}\n", bytes, (b.tv_sec - a.tv_sec) + (b.tv_nsec - a.tv_nsec) * 1e-9, zlibVersion());
}
