// ideal_server.cpp - the simplest server that could answer step_client durably: one epoll thread takes the requests of
// all connections, appends their journal lines with ONE write and ONE fdatasync a turn, then answers.
//
// It speaks the same requests and writes lines of the same form and length as the manager, into space that is
// reserved ahead beyond the end of file; but it decides nothing: no state beside a queue of what was added, no check of
// ids, attempts or JSON, no index, no segments, no snapshots. It is a reference, not the disk's ceiling.
//
// Build: g++ -std=c++17 -O2 -o ideal_server ideal_server.cpp
// Run:   ./ideal_server PORT JOURNAL_FILE      (127.0.0.1; stop with SIGTERM, then it prints one JSON object)
#include <arpa/inet.h>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <unordered_map>
#include "crc32c.hpp"

using std::string, std::string_view;

static volatile sig_atomic_t stopped = 0;

[[noreturn]] static void die(const char *what) {
  perror(what);
  exit(1);
}

// What stands between `from` and `to` in a request of step_client; no general JSON.
static string_view between(string_view text, string_view from, string_view to) {
  size_t a = text.find(from);
  if (a == string_view::npos) return {};
  a += from.size();
  return text.substr(a, text.find(to, a) - a);
}

class Journal {
public:
  explicit Journal(const char *path) : fd(open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644)) {
    if (fd < 0) die(path);
    begin(R"({"segment":1,"format":1,"first_seq":1,"previous_sha256":")" + string(64, '0') + "\"");
    finish();
    flush();
  }

  bool empty() const { return batch.empty(); }

  // One event; `fields` starts at "type" and stands before actor, synced and crc.
  void event(const string &fields) {
    if (batch.empty()) now();
    bool first = batch.empty();
    char head[80];
    snprintf(head, sizeof head, "{\"seq\":%lu,\"time\":\"%s\",", ++seq, time);
    begin(head);
    batch += fields;
    batch += ",\"actor\":\"tcp\"";
    if (first) batch += ",\"synced\":" + std::to_string(seq - 1);
    finish();
  }

  void flush() {
    if (end + off_t(batch.size()) > reserved) {
      if (fallocate(fd, FALLOC_FL_KEEP_SIZE, reserved, 64 << 20)) die("fallocate");
      reserved += 64 << 20;
    }
    if (pwrite(fd, batch.data(), batch.size(), end) != ssize_t(batch.size())) die("write");
    if (fdatasync(fd)) die("fdatasync");
    end += off_t(batch.size()), syncs++;
    batch.clear();
  }

  unsigned long seq = 0, syncs = 0;
  off_t end = 0;

private:
  void begin(string_view text) {
    start = batch.size();
    batch += text;
  }
  void finish() {
    char crc[24];
    snprintf(crc, sizeof crc, ",\"crc\":\"%08x\"}\n", crc32c(batch.data() + start, batch.size() - start));
    batch += crc;
  }
  void now() {
    timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (t.tv_sec != second) {
      tm utc{};
      gmtime_r(&t.tv_sec, &utc);
      strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &utc);
      second = t.tv_sec;
    }
    snprintf(time + 19, sizeof time - 19, ".%06dZ", int(t.tv_nsec / 1000));
  }

  int fd;
  off_t reserved = 0;
  size_t start = 0;
  string batch;
  char time[40] = "";
  time_t second = -1;
};

struct Task {
  string id, rest;  // rest: phase, config, seed, output_dirs as they came
};

// Turns one request into one event and one answer.
class Server {
public:
  explicit Server(Journal &j) : journal(j) {}

  void request(string_view line, string &answer) {
    string_view type = between(line, "\"type\":\"", "\"");
    if (type == "add") {
      Task task{string(between(line, "\"task_id\":\"", "\"")), string(between(line, "\",\"phase\"", "}]}"))};
      task.rest.insert(0, ",\"phase\"");
      journal.event("\"type\":\"added\",\"task\":\"" + task.id + "\"" + task.rest);
      queue.push_back(std::move(task));
      answer += "{\"type\":\"added\",\"added\":1,\"existing\":0}\n";
    } else if (type == "claim" && !queue.empty()) {
      Task task = std::move(queue.front());
      queue.pop_front();
      journal.event("\"type\":\"assigned\",\"task\":\"" + task.id + "\",\"worker\":\"" + string(between(line, "\"worker_id\":\"", "\"")) + "\",\"attempt\":1");
      string first(between(task.rest, "\"output_dirs\":[", "]"));
      answer += "{\"type\":\"tasks\",\"tasks\":[{\"task_id\":\"" + task.id + "\"";
      size_t dirs = task.rest.find(",\"output_dirs\":");
      answer += task.rest.substr(0, dirs) + ",\"output_dir\":" + first + task.rest.substr(dirs) + ",\"attempt\":1}]}\n";
    } else if (type == "complete") {
      string id(between(line, "\"task_id\":\"", "\""));
      journal.event("\"type\":\"completed\",\"task\":\"" + id + "\",\"worker\":\"" + string(between(line, "\"worker_id\":\"", "\"")) +
                    "\",\"attempt\":1,\"via\":\"worker\"");
      answer += "{\"type\":\"done\",\"items\":[{\"task_id\":\"" + id + "\",\"ok\":true}]}\n";
    } else {
      answer += "{\"type\":\"error\",\"error\":\"not one of the steps that this server knows\"}\n";
    }
  }

private:
  Journal &journal;
  std::deque<Task> queue;
};

struct Peer {
  string in, out;
};

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: ideal_server PORT JOURNAL_FILE\n");
    return 64;
  }
  struct sigaction action {};
  action.sa_handler = [](int) { stopped = 1; };
  sigaction(SIGTERM, &action, nullptr), sigaction(SIGINT, &action, nullptr);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, ep = epoll_create1(EPOLL_CLOEXEC);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in a{};
  a.sin_family = AF_INET, a.sin_port = htons(uint16_t(atoi(argv[1]))), a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (sockaddr *)&a, sizeof a) || listen(listener, 512)) die("bind");
  epoll_event ev{};
  ev.events = EPOLLIN, ev.data.fd = listener;
  epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev);

  Journal journal(argv[2]);
  Server server(journal);
  std::unordered_map<int, Peer> peers;
  epoll_event evs[256];
  static char b[65536];
  int answering[256];
  while (!stopped) {
    int n = epoll_wait(ep, evs, 256, -1), answers = 0;
    for (int i = 0; i < n; i++) {
      int fd = evs[i].data.fd;
      if (fd == listener) {
        int c = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (c < 0) continue;
        setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        ev.data.fd = c;
        epoll_ctl(ep, EPOLL_CTL_ADD, c, &ev);
        continue;
      }
      Peer &peer = peers[fd];
      ssize_t r = recv(fd, b, sizeof b, 0);
      if (r <= 0) {
        close(fd), peers.erase(fd);
        continue;
      }
      peer.in.append(b, size_t(r));
      size_t from = 0, p;
      for (; (p = peer.in.find('\n', from)) != string::npos; from = p + 1)
        if (p > from) server.request(string_view(peer.in).substr(from, p - from), peer.out);  // an empty line: the form's first byte
      peer.in.erase(0, from);
      if (!peer.out.empty()) answering[answers++] = fd;
    }
    if (!journal.empty()) journal.flush();
    for (int i = 0; i < answers; i++) {
      string &out = peers[answering[i]].out;
      if (send(answering[i], out.data(), out.size(), MSG_NOSIGNAL) < 0) perror("send");
      out.clear();
    }
  }
  printf("{\"events\":%lu,\"syncs\":%lu,\"bytes\":%lld}\n", journal.seq, journal.syncs, (long long)journal.end);
}
