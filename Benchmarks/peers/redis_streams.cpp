// redis_streams.cpp - the same three steps on Redis streams: XADD a task, XREADGROUP one, XACK it.
// Built and run by redis_streams.sh.
// Build: g++ -std=c++17 -O2 -pthread -I.. -o redis_streams redis_streams.cpp -lhiredis
// Run:   ./redis_streams PORT CONNECTIONS SECONDS [WARM_UP_SECONDS=0.5]     (empties that server first)
#include "harness.hpp"
#include <hiredis/hiredis.h>
#include <memory>

using Reply = std::unique_ptr<redisReply, void (*)(void *)>;

template <class... A> static Reply command(redisContext *c, A... words) {
  auto *r = static_cast<redisReply *>(redisCommand(c, words...));
  if (!r || r->type == REDIS_REPLY_ERROR || r->type == REDIS_REPLY_NIL) {
    fprintf(stderr, "redis: %s\n", r ? r->str : c->errstr);
    _exit(1);
  }
  return Reply(r, freeReplyObject);
}

static redisContext *connectTo(int port) {
  redisContext *c = redisConnect("127.0.0.1", port);
  if (!c || c->err) die("redis");
  return c;
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: redis_streams PORT CONNECTIONS SECONDS [WARM_UP_SECONDS=0.5]\n");
    return 64;
  }
  int port = atoi(argv[1]);
  // As long as the manager's `added` line.
  const std::string task =
      R"({"task":"exp1_vary_width_r1_18_0","phase":"exp1_vary_width","config":{"dataset":"cifar10","model_type":"cnn","width_factor":16,"depth":4,)"
      R"("poison_ratio":0.2,"alpha":100.0,"batch_size":128,"lr":0.01,"global_rounds":50,"seed":42},"seed":42,"output_dirs":["results_exp1_cifar10"]})";
  redisContext *setup = connectTo(port);
  command(setup, "FLUSHALL");
  command(setup, "XGROUP CREATE tasks workers $ MKSTREAM");
  redisFree(setup);
  run(atoi(argv[2]), argc > 4 ? atof(argv[4]) : 0.5, atof(argv[3]), {"add", "claim", "complete"}, [=](int i) -> Cycle {
    redisContext *c = connectTo(port);
    std::string worker = "gpu" + std::to_string(i);
    return [=](Recorder &recorder) {
      command(c, "XADD tasks * task %b", task.data(), task.size());
      recorder.lap(0);
      Reply read = command(c, "XREADGROUP GROUP workers %s COUNT 1 STREAMS tasks >", worker.c_str());
      std::string id = read->element[0]->element[1]->element[0]->element[0]->str;
      recorder.lap(1);
      command(c, "XACK tasks workers %s", id.c_str());
      recorder.lap(2);
    };
  });
}
