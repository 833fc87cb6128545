// make_journal.cpp - writes a sealed journal of N events, from the description of the format alone.
//
// Build: g++ -std=c++17 -O2 -o make_journal make_journal.cpp -lz
// Run:   ./make_journal DIR EVENTS [--form members|plain] [--segment-bytes N] [--member-bytes N] [--level 1-9] [--seed N] [--tasks N]
//   members : gzip files of many members, cut at line ends, each with the extra subfield EL
//   plain   : one plain gzip member a file, as `gzip` writes it
//   --tasks : N tasks are added first; when all have ended, an operator requeues them in order
// Equal arguments give equal lines in both forms. All segments are sealed but the last, which holds one event.
// Prints one JSON object: sizes, the number of tasks of each status, the head hash.
//
// The events: tasks of four phases are added in commands of up to 240, sixteen workers claim them and end them in
// any order, 8 % of the attempts fail and are retried, the fourth failure is final.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <string>
#include <sys/stat.h>
#include <vector>
#include <zlib.h>
#include "crc32c.hpp"
#include "sha256.hpp"

namespace {

struct Options {
  std::string dir, form = "members";
  uint64_t tasks = 0, events = 0, segmentBytes = 64 << 20, memberBytes = 256 << 10, seed = 1;
  int level = 6;
};

[[noreturn]] void fail(const std::string &what) {
  fprintf(stderr, "make_journal: %s: %s\n", what.c_str(), strerror(errno));
  exit(1);
}

struct Random {  // splitmix64: the same numbers with every library
  uint64_t state;
  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint64_t below(uint64_t n) { return next() % n; }
  template <class T, size_t N> const T &of(const std::array<T, N> &a) { return a[below(N)]; }
};

void putLittle(std::string &out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) out.push_back(char(value >> (8 * i)));
}

// One gzip member. With `extra`, its header carries the 24 bytes of the subfield EL.
std::string gzipMember(const char *data, size_t size, int level, bool extra, uint64_t firstSeq, int64_t firstMicros) {
  z_stream z{};
  if (deflateInit2(&z, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) fail("deflateInit2");
  std::string body(deflateBound(&z, size), 0);
  z.next_in = (Bytef *)data, z.avail_in = size, z.next_out = (Bytef *)&body[0], z.avail_out = body.size();
  if (deflate(&z, Z_FINISH) != Z_STREAM_END) fail("deflate");
  body.resize(z.total_out);
  deflateEnd(&z);
  std::string out("\x1f\x8b\x08", 3);
  out.push_back(extra ? 4 : 0);
  putLittle(out, 0, 4);
  out.push_back(0);
  out.push_back(char(extra ? 255 : 3));
  if (extra) {
    putLittle(out, 28, 2), out += "EL", putLittle(out, 24, 2);
    putLittle(out, 10 + 2 + 28 + body.size() + 8, 8), putLittle(out, firstSeq, 8), putLittle(out, uint64_t(firstMicros), 8);
  }
  out += body;
  putLittle(out, crc32(0, (const Bytef *)data, size), 4), putLittle(out, size, 4);
  return out;
}

void writeFile(const std::string &path, const std::string &bytes) {
  FILE *f = fopen(path.c_str(), "wb");
  if (!f || fwrite(bytes.data(), 1, bytes.size(), f) != bytes.size() || fclose(f)) fail(path);
}

class Journal {
public:
  explicit Journal(const Options &o) : options(o) {}

  // Appends one event; `fields` starts behind the time, from "type" on. Every command carries one time.
  void emit(const std::string &fields, bool more = false) {
    if (text.empty()) begin();
    if (!inCommand) micros += 50 + int64_t(clockSteps.below(89950));
    seq++;
    marks.push_back({text.size(), seq, micros});
    size_t start = text.size();
    text += "{\"seq\":" + std::to_string(seq) + ",\"time\":\"" + timestamp() + "\"," + fields;
    if (!inCommand && --commandsInWrite == 0) {  // this command begins a write; everything before it is durable
      text += ",\"synced\":" + std::to_string(seq - 1);
      commandsInWrite = 1 + clockSteps.below(32);
    }
    if (more) text += ",\"more\":true";
    finish(start);
    inCommand = more;
    if (!more && text.size() >= options.segmentBytes) seal();
  }

  void seal() {
    if (marks.empty()) return;
    std::string gz;
    if (options.form == "plain") {
      gz = gzipMember(text.data(), text.size(), options.level, false, 0, 0);
    } else {
      size_t from = 0, mark = 0;  // `mark`: the first event at or behind `from`
      while (from < text.size()) {
        size_t end = text.size();
        if (text.size() - from > options.memberBytes) end = text.rfind('\n', from + options.memberBytes) + 1;
        if (end <= from) end = text.find('\n', from) + 1;  // one line longer than a member
        while (mark < marks.size() && marks[mark].offset < from) mark++;
        gz += gzipMember(text.data() + from, end - from, options.level, true, marks[mark].seq, marks[mark].micros);
        from = end;
      }
    }
    writeFile(path() + ".gz", gz);
    gzBytes += gz.size(), sealedBytes += text.size(), sealed++;
    previous = hash();
    text.clear(), marks.clear();
  }

  void close() { writeFile(path(), text); }

  std::string hash() const { return Sha256::hex(text.data(), text.size()); }

  uint64_t seq = 0, number = 0, sealed = 0, gzBytes = 0, sealedBytes = 0;

private:
  struct Mark {
    size_t offset;
    uint64_t seq;
    int64_t micros;
  };

  void begin() {
    first = seq + 1;
    text = "{\"segment\":" + std::to_string(++number) + ",\"format\":1,\"first_seq\":" + std::to_string(first) +
           ",\"previous_sha256\":\"" + previous + "\"";
    finish(0);
  }

  void finish(size_t start) {
    char crc[24];
    snprintf(crc, sizeof crc, ",\"crc\":\"%08x\"}\n", crc32c(text.data() + start, text.size() - start));
    text += crc;
  }

  std::string timestamp() {
    time_t second = micros / 1000000;
    if (second != shownSecond) {
      tm utc{};
      gmtime_r(&second, &utc);
      strftime(shown, sizeof shown, "%Y-%m-%dT%H:%M:%S", &utc);
      shownSecond = second;
    }
    char out[48];
    snprintf(out, sizeof out, "%s.%06dZ", shown, int(micros % 1000000));
    return out;
  }

  std::string path() const {
    char name[40];
    snprintf(name, sizeof name, "/journal/%020llu.jsonl", (unsigned long long)first);
    return options.dir + name;
  }

  const Options &options;
  Random clockSteps{options.seed ^ 0xc10c};
  std::string text, previous = std::string(64, '0');
  std::vector<Mark> marks;
  uint64_t first = 1, commandsInWrite = 1;
  int64_t micros = 1766185200ll * 1000000;  // 2025-12-19T23:00:00Z
  time_t shownSecond = -1;
  char shown[32] = "";
  bool inCommand = false;
};

struct Task {
  std::string id;
  int attempt = 0, failures = 0;
};

std::string decimals(const char *format, double value) {
  char out[40];
  snprintf(out, sizeof out, format, value);
  return out;
}

class Sweep {
public:
  Sweep(const Options &o, Journal &j) : random{o.seed}, journal(j), limit(o.events), most(o.tasks) {}

  // Everything but the last event.
  void run() {
    while (journal.seq + 1 < limit && all.size() < most) add(std::min<uint64_t>(240, most - all.size()));
    while (journal.seq + 1 < limit) {
      if (pending.size() < 16) most ? reopen(240) : add(240);
      step(limit - 1 - journal.seq);
    }
  }

  void last() { addOne(false); }

  uint64_t tasks() const { return all.size(); }
  uint64_t complete = 0, failed = 0;
  uint64_t assigned() const {
    uint64_t n = 0;
    for (auto &w : workers) n += w >= 0;
    return n;
  }

private:
  void add(uint64_t count) {
    count = std::min<uint64_t>(count, limit - 1 - journal.seq);
    for (uint64_t i = 0; i < count; i++) addOne(i + 1 < count);
  }

  void reopen(uint64_t count) {
    count = std::min<uint64_t>({count, ended.size(), limit - 1 - journal.seq});
    for (uint64_t i = 0; i < count; i++) {
      Task &task = all[ended.front()];
      (task.failures > 3 ? failed : complete)--;
      task.failures = 0;
      journal.emit("\"type\":\"requeued\",\"task\":\"" + task.id + "\",\"reason\":\"operator\",\"actor\":\"cli:ann\"", i + 1 < count);
      pending.push_back(ended.front());
      ended.pop_front();
    }
  }

  void addOne(bool more) {
    static const std::array<const char *, 4> phases{"exp1_vary_width", "exp2_vary_depth", "exp3_vary_poison", "exp4_vary_alpha"};
    static const std::array<const char *, 3> datasets{"mnist", "cifar10", "fashion_mnist"}, models{"cnn", "lr", "mlp"};
    static const std::array<int, 3> seeds{42, 101, 2024}, depths{2, 4, 8};
    static const std::array<int, 4> widths{1, 4, 16, 64};
    static const std::array<const char *, 4> ratios{"0.0", "0.1", "0.2", "0.3"};
    std::string number = std::to_string(all.size()), phase = phases[all.size() / 4096 % 4], dataset = random.of(datasets);
    std::string seed = std::to_string(random.of(seeds));
    Task task{phase + "_" + number + "_" + seed};
    std::string config = "{\"dataset\":\"" + dataset + "\",\"model_type\":\"" +
                         random.of(models) + "\",\"width_factor\":" + std::to_string(random.of(widths)) +
                         ",\"depth\":" + std::to_string(random.of(depths)) + ",\"poison_ratio\":" + random.of(ratios) +
                         ",\"alpha\":100.0,\"batch_size\":128,\"lr\":0.01,\"global_rounds\":50,\"seed\":" + seed + "}";
    journal.emit("\"type\":\"added\",\"task\":\"" + task.id + "\",\"phase\":\"" + phase + "\",\"config\":" + config +
                     ",\"seed\":" + seed + ",\"output_dirs\":[\"results_" + phase.substr(0, 4) + "_" + dataset + "\"],\"counter\":" + number,
                 more);
    pending.push_back(all.size());
    all.push_back(std::move(task));
  }

  // A worker that has no task claims one; a worker that has one ends it.
  void step(uint64_t room) {
    if (room == 0) return;
    size_t w = random.below(workers.size());
    std::string worker = "gpu" + std::to_string(w);
    int64_t &held = workers[w];
    if (held < 0) {
      if (pending.empty()) return;
      held = int64_t(pending.front());
      pending.pop_front();
      Task &task = all[size_t(held)];
      task.attempt++;
      journal.emit(about("assigned", task, worker) + ",\"heartbeat_s\":10,\"actor\":\"tcp\"");
      return;
    }
    Task &task = all[size_t(held)];
    std::string duration = decimals("%.3f", 60 + double(random.below(900000)) / 1000);
    if (room >= 2 && random.below(100) < 8) {
      bool final = ++task.failures > 3;
      journal.emit(about("failed", task, worker) +
                       ",\"error\":\"exit 1: RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB\",\"exit_code\":1,\"duration_s\":" +
                       duration + ",\"actor\":\"tcp\"",
                   !final);
      if (final) failed++, ended.push_back(size_t(held));
      else {
        journal.emit("\"type\":\"requeued\",\"task\":\"" + task.id + "\",\"reason\":\"retry\",\"actor\":\"tcp\"");
        pending.push_front(size_t(held));  // a requeued task keeps its place
      }
    } else {
      journal.emit(about("completed", task, worker) + ",\"via\":\"worker\",\"result\":{\"test_accuracy\":" +
                   decimals("%.4f", 0.5 + double(random.below(5000)) / 10000) + ",\"test_loss\":" +
                   decimals("%.6f", double(random.below(2000000)) / 1000000) + "},\"duration_s\":" + duration + ",\"actor\":\"tcp\"");
      complete++, ended.push_back(size_t(held));
    }
    held = -1;
  }

  static std::string about(const char *type, const Task &task, const std::string &worker) {
    return std::string("\"type\":\"") + type + "\",\"task\":\"" + task.id + "\",\"worker\":\"" + worker +
           "\",\"attempt\":" + std::to_string(task.attempt);
  }

  Random random;
  Journal &journal;
  uint64_t limit, most;
  std::vector<Task> all;
  std::deque<size_t> pending, ended;
  std::array<int64_t, 16> workers = [] {
    std::array<int64_t, 16> a;
    a.fill(-1);
    return a;
  }();
};

Options parse(int argc, char **argv) {
  Options o;
  std::vector<std::string> words;
  for (int i = 1; i < argc; i++) {
    std::string a = argv[i];
    auto value = [&]() -> std::string {
      if (++i >= argc) fprintf(stderr, "make_journal: %s needs a value\n", a.c_str()), exit(64);
      return argv[i];
    };
    if (a == "--form") o.form = value();
    else if (a == "--segment-bytes") o.segmentBytes = strtoull(value().c_str(), nullptr, 10);
    else if (a == "--member-bytes") o.memberBytes = strtoull(value().c_str(), nullptr, 10);
    else if (a == "--level") o.level = atoi(value().c_str());
    else if (a == "--tasks") o.tasks = strtoull(value().c_str(), nullptr, 10);
    else if (a == "--seed") o.seed = strtoull(value().c_str(), nullptr, 10);
    else words.push_back(a);
  }
  if (words.size() == 2) o.dir = words[0], o.events = strtoull(words[1].c_str(), nullptr, 10);
  if (o.events < 2 || (o.form != "plain" && o.form != "members") || o.segmentBytes < 1 || o.memberBytes < 1)
    fprintf(stderr, "usage: make_journal DIR EVENTS(>= 2) [--form members|plain] [--segment-bytes N] [--member-bytes N] [--level 1-9] [--seed N] [--tasks N]\n"), exit(64);
  return o;
}

}  // namespace

int main(int argc, char **argv) {
  Options options = parse(argc, argv);
  mkdir(options.dir.c_str(), 0755);
  if (mkdir((options.dir + "/journal").c_str(), 0755)) fail(options.dir + "/journal");
  Journal journal(options);
  Sweep sweep(options, journal);
  sweep.run();
  journal.seal();
  sweep.last();
  uint64_t assigned = sweep.assigned(), pending = sweep.tasks() - sweep.complete - sweep.failed - assigned;
  printf("{\"form\":\"%s\",\"events\":%llu,\"tasks\":%llu,\"pending\":%llu,\"assigned\":%llu,\"complete\":%llu,\"failed\":%llu,"
         "\"sealed\":%llu,\"line_bytes\":%llu,\"gz_bytes\":%llu,\"head_sha256\":\"%s\"}\n",
         options.form.c_str(), (unsigned long long)journal.seq, (unsigned long long)sweep.tasks(), (unsigned long long)pending,
         (unsigned long long)assigned, (unsigned long long)sweep.complete, (unsigned long long)sweep.failed,
         (unsigned long long)journal.sealed, (unsigned long long)journal.sealedBytes, (unsigned long long)journal.gzBytes,
         journal.hash().c_str());
  journal.close();
}
