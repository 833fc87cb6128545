// harness.hpp - what the client programs share: N blocking threads with a connection each run a cycle of steps for a
// while; steps a second and latencies are printed as one JSON object.
#pragma once
#include <algorithm>
#include <arpa/inet.h>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

using Clock = std::chrono::steady_clock;

inline double seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

[[noreturn]] inline void die(const char *what) {
  perror(what);
  _exit(1);
}
[[noreturn]] inline void refuse(const char *what, const std::string &answer) {
  fprintf(stderr, "%s: unexpected answer: %s\n", what, answer.c_str());
  _exit(1);
}

// The latencies of one thread, by kind of step.
struct Recorder {
  std::vector<std::vector<float>> micros;
  size_t steps = 0;  // warm-up included
  const std::atomic<bool> *measuring = nullptr;
  Clock::time_point last;

  explicit Recorder(size_t kinds) : micros(kinds) {}
  void start() { last = Clock::now(); }
  void lap(size_t kind) {
    auto now = Clock::now();
    if (measuring->load(std::memory_order_relaxed)) micros[kind].push_back(float(seconds(now - last) * 1e6));
    steps++, last = now;
  }
};

using Cycle = std::function<void(Recorder &)>;  // one cycle; every step ends in a lap

inline double cpuSeconds() {
  rusage r;
  getrusage(RUSAGE_SELF, &r);
  return double(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + double(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e-6;
}

inline std::string quantiles(std::vector<float> &v) {
  if (v.empty()) return "{\"n\":0}";
  std::sort(v.begin(), v.end());
  char out[120];
  snprintf(out, sizeof out, "{\"n\":%zu,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}", v.size(), v[v.size() / 2], v[size_t(double(v.size()) * .99)], v.back());
  return out;
}

// `make(i)` connects thread i and returns its cycle. `warmUp` seconds come first and are not measured.
inline void run(int connections, double warmUp, double duration, const std::vector<const char *> &kinds, const std::function<Cycle(int)> &make) {
  std::atomic<int> ready{0};
  std::atomic<bool> go{false}, measuring{false}, stop{false};
  std::vector<Recorder> recorders(size_t(connections), Recorder(kinds.size()));
  std::vector<std::thread> threads;
  for (int i = 0; i < connections; i++)
    threads.emplace_back([&, i] {
      Recorder &recorder = recorders[size_t(i)];
      recorder.measuring = &measuring;
      Cycle cycle = make(i);
      ready++;
      while (!go) usleep(200);
      while (!stop) recorder.start(), cycle(recorder);
    });
  while (ready < connections) usleep(500);
  go = true;
  std::this_thread::sleep_for(std::chrono::duration<double>(warmUp));
  double cpu = cpuSeconds();
  auto begin = Clock::now();
  measuring = true;
  std::this_thread::sleep_for(std::chrono::duration<double>(duration));
  measuring = false;
  double elapsed = seconds(Clock::now() - begin);
  cpu = cpuSeconds() - cpu;
  stop = true;
  for (auto &t : threads) t.join();

  size_t acknowledged = 0;
  std::vector<float> all;
  std::string byKind;
  for (auto &r : recorders) acknowledged += r.steps;
  for (size_t k = 0; k < kinds.size(); k++) {
    std::vector<float> v;
    for (auto &r : recorders) v.insert(v.end(), r.micros[k].begin(), r.micros[k].end());
    all.insert(all.end(), v.begin(), v.end());
    byKind += std::string(",\"") + kinds[k] + "\":" + quantiles(v);
  }
  printf("{\"connections\":%d,\"seconds\":%.3f,\"steps_per_s\":%.0f,\"acknowledged\":%zu,\"client_cpu\":%.2f,\"all\":%s%s}\n", connections, elapsed,
         double(all.size()) / elapsed, acknowledged, cpu / elapsed, quantiles(all).c_str(), byKind.c_str());
}

// A blocking loopback connection.
class Connection {
public:
  explicit Connection(int port) {
    fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in a{};
    a.sin_family = AF_INET, a.sin_port = htons(uint16_t(port)), a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (sockaddr *)&a, sizeof a)) die("connect");
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    timeval limit{30, 0};  // a server that stops answering ends the run
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  ~Connection() { close(fd); }
  Connection(const Connection &) = delete;

  void send(const std::string &s) {
    for (size_t sent = 0; sent < s.size();) {
      ssize_t n = ::send(fd, s.data() + sent, s.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) die("send");
      sent += size_t(n);
    }
  }
  std::string line() {
    std::string l = until("\n");
    l.pop_back();
    return l;
  }
  // What comes up to `end`, and that.
  std::string until(const std::string &end) {
    for (;;) {
      if (auto at = buffer.find(end); at != std::string::npos) return cut(at + end.size());
      more();
    }
  }
  // The next `size` bytes.
  std::string take(size_t size) {
    while (buffer.size() < size) more();
    return cut(size);
  }
  // One request, one answer.
  std::string ask(const std::string &request) {
    send(request);
    return line();
  }

private:
  void more() {
    char b[8192];
    ssize_t n = recv(fd, b, sizeof b, 0);
    if (n <= 0) die(n == 0 ? "the server closed the connection" : "recv");
    buffer.append(b, size_t(n));
  }
  std::string cut(size_t size) {
    std::string l = buffer.substr(0, size);
    buffer.erase(0, size);
    return l;
  }

  int fd;
  std::string buffer;
};
