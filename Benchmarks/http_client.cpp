// http_client.cpp - HTTP/1.1 at N connections that stay open, one request at a time on each.
//
// Use: http_client empty PORT CONNECTIONS SECONDS [WARM_UP_SECONDS=0.5]     GET / and nothing else
//      http_client work PORT CONNECTIONS SECONDS [WARM_UP_SECONDS=0.5]      POST /api/v1/claims (count 1), then
//                                                                          POST /api/v1/tasks/{id}/complete
// `work` is for `manager serve` with more pending tasks than the run takes; `empty` for http-yardstick, and for /healthz
// of the manager with a path as sixth argument.
#include "harness.hpp"
#include <memory>

// One request, the answer's body. The status must be 200.
static std::string ask(Connection &connection, const std::string &request, const char *what) {
  connection.send(request);
  std::string head = connection.until("\r\n\r\n");
  if (head.compare(0, 13, "HTTP/1.1 200 ") != 0) refuse(what, head);
  size_t at = head.find("\r\ncontent-length: ");
  if (at == std::string::npos) at = head.find("\r\nContent-Length: ");
  return at == std::string::npos ? std::string() : connection.take(size_t(atol(head.c_str() + at + 18)));
}

static std::string post(const std::string &path, const std::string &body) {
  return "POST " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// The text behind `name` up to `end`, which every answer to a claim has.
static std::string field(const std::string &answer, const std::string &name, const char *end) {
  auto at = answer.find(name);
  if (at == std::string::npos) refuse("claim", answer);
  at += name.size();
  return answer.substr(at, answer.find_first_of(end, at) - at);
}

int main(int argc, char **argv) {
  if (argc < 5) {
    fprintf(stderr, "usage: http_client empty|work PORT CONNECTIONS SECONDS [WARM_UP_SECONDS=0.5 [PATH=/]]\n");
    return 64;
  }
  int port = atoi(argv[2]), connections = atoi(argv[3]);
  double duration = atof(argv[4]), warmUp = argc > 5 ? atof(argv[5]) : 0.5;
  if (std::string(argv[1]) == "empty") {
    std::string request = std::string("GET ") + (argc > 6 ? argv[6] : "/") + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    run(connections, warmUp, duration, {"empty"}, [=](int) -> Cycle {
      auto connection = std::make_shared<Connection>(port);
      return [=](Recorder &recorder) {
        ask(*connection, request, "empty");
        recorder.lap(0);
      };
    });
    return 0;
  }
  run(connections, warmUp, duration, {"claim", "complete"}, [=](int i) -> Cycle {
    auto connection = std::make_shared<Connection>(port);
    std::string worker = "gpu" + std::to_string(i);
    std::string claim = post("/api/v1/claims", "{\"worker\":\"" + worker + "\",\"count\":1}");
    return [=](Recorder &recorder) {
      std::string answer = ask(*connection, claim, "claim");
      std::string task = field(answer, "\"task_id\":\"", "\""), attempt = field(answer, "\"attempt\":", ",}");
      recorder.lap(0);
      answer = ask(*connection, post("/api/v1/tasks/" + task + "/complete", "{\"worker\":\"" + worker + "\",\"attempt\":" + attempt + "}"), "complete");
      if (answer.find("\"ok\":true") == std::string::npos) refuse("complete", answer);
      recorder.lap(1);
    };
  });
}
