// step_client.cpp - drives durable steps over the fast form of the workers' protocol: each connection adds one task,
// claims one (which may be another connection's) and completes what it was given, over and over. Three steps a
// cycle, one event each.
//
// Build: g++ -std=c++17 -O2 -pthread -o step_client step_client.cpp
// Run:   ./step_client PORT CONNECTIONS SECONDS RUN [WARM_UP_SECONDS=0.5]
//   RUN: a word that makes the task ids of this run unique
// Works against `manager serve` (its --worker-listen port) and against ideal_server.
#include "harness.hpp"
#include <memory>

// The text behind `name` up to `end`, which every answer to a claim has.
static std::string field(const std::string &answer, const std::string &name, char end) {
  auto at = answer.find(name);
  if (at == std::string::npos) refuse("claim", answer);
  at += name.size();
  return answer.substr(at, answer.find(end, at) - at);
}

int main(int argc, char **argv) {
  if (argc < 5) {
    fprintf(stderr, "usage: step_client PORT CONNECTIONS SECONDS RUN [WARM_UP_SECONDS=0.5]\n");
    return 64;
  }
  int port = atoi(argv[1]);
  std::string run_ = argv[4];
  run(atoi(argv[2]), argc > 5 ? atof(argv[5]) : 0.5, atof(argv[3]), {"add", "claim", "complete"}, [=](int i) -> Cycle {
    auto connection = std::make_shared<Connection>(port);
    connection->send("\n");  // the first byte chooses the fast form
    std::string worker = "gpu" + std::to_string(i), prefix = "exp1_vary_width_" + run_ + "_" + std::to_string(i) + "_";
    std::string claim = "{\"type\":\"claim\",\"worker_id\":\"" + worker + "\",\"count\":1,\"wait_s\":0}\n";
    auto count = std::make_shared<size_t>(0);
    return [=](Recorder &recorder) {
      std::string answer = connection->ask(
          "{\"type\":\"add\",\"tasks\":[{\"task_id\":\"" + prefix + std::to_string((*count)++) +
          "\",\"phase\":\"exp1_vary_width\",\"config\":{\"dataset\":\"cifar10\",\"model_type\":\"cnn\",\"width_factor\":16,\"depth\":4,"
          "\"poison_ratio\":0.2,\"alpha\":100.0,\"batch_size\":128,\"lr\":0.01,\"global_rounds\":50,\"seed\":42},\"seed\":42,"
          "\"output_dirs\":[\"results_exp1_cifar10\"]}]}\n");
      if (answer.find("\"added\":1") == std::string::npos) refuse("add", answer);
      recorder.lap(0);
      answer = connection->ask(claim);
      std::string task = field(answer, "\"task_id\":\"", '"'), attempt = field(answer, "\"attempt\":", '}');
      attempt = attempt.substr(0, attempt.find(','));
      recorder.lap(1);
      answer = connection->ask("{\"type\":\"complete\",\"worker_id\":\"" + worker + "\",\"items\":[{\"task_id\":\"" + task + "\",\"attempt\":" + attempt + "}]}\n");
      if (answer.find("\"ok\":true") == std::string::npos) refuse("complete", answer);
      recorder.lap(2);
    };
  });
}
