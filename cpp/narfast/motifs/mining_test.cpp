// All methods behind one entry: every node in one instance, equal ids for equal motifs.
#include "narfast/motifs/mining.h"

#include <doctest/doctest.h>

#include <map>
#include <set>
#include <stdexcept>

#include "narfast/graph/structural_hash.h"
#include "narfast/testing/test_graphs.h"

namespace narfast {
namespace {

using testing::Net;

Graph layers(int count) {
  Net net;
  NodeId x = net.input();
  for (int i = 0; i < count; ++i) x = net.add("add", {net.chain(x, {"conv", "relu"}), x});
  net.add("linear", {x});
  return net.graph();
}

Motifs mined(const std::vector<Graph>& graphs, const MiningOptions& options, int threads = 1) {
  const GraphBatch batch = concatenate(graphs);
  return mine(batch.view(), options, threads);
}

TEST_CASE("methods have names") {
  CHECK(mining_method("repeats") == MiningMethod::kRepeats);
  CHECK(mining_method("random") == MiningMethod::kRandom);
  CHECK_THROWS_WITH_AS((void)mining_method("louvain"), doctest::Contains("neighbor_sequence"),
                       std::invalid_argument);
}

TEST_CASE("every method numbers instances by their first node, without gaps") {
  for (const char* method :
       {"repeats", "neighbor_sequence", "fixed_size", "fixed_count", "random"}) {
    CAPTURE(method);
    const Motifs motifs = mined({layers(4), Graph{}, layers(1)}, {.method = mining_method(method)});
    REQUIRE(motifs.instance_ptr.size() == 4);
    CHECK(motifs.instance_ptr[1] == motifs.instance_ptr[2]);
    CHECK(motifs.instance_ptr[3] == static_cast<Offset>(motifs.motif_id.size()));
    std::int32_t next = 0;
    for (std::size_t node = 0; node < 14; ++node) {
      CHECK(motifs.node_instance[node] <= next);
      if (motifs.node_instance[node] == next) ++next;
    }
    CHECK(next == motifs.instance_ptr[1]);
  }
}

TEST_CASE("the methods that cut by number") {
  const std::vector<Graph> graphs{layers(3)};  // 11 nodes
  const auto instances = [&](const MiningOptions& options) {
    return mined(graphs, options).node_instance;
  };
  CHECK(instances({.method = MiningMethod::kFixedSize, .size = 4}) ==
        std::vector<std::int32_t>{0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2});
  CHECK(instances({.method = MiningMethod::kFixedCount, .count = 3}) ==
        std::vector<std::int32_t>{0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2});
  CHECK(instances({.method = MiningMethod::kFixedCount, .count = 100}).back() == 10);
  const MiningOptions random{
      .method = MiningMethod::kRandom, .min_size = 2, .max_size = 3, .seed = 5};
  std::map<std::int32_t, int> sizes;
  for (std::int32_t number : instances(random)) ++sizes[number];
  sizes.erase(std::prev(sizes.end()));  // the last may be cut short
  for (const auto& [number, size] : sizes) CHECK((size == 2 || size == 3));
  CHECK(instances(random) == instances(random));
}

TEST_CASE("a motif id is the structural hash of the induced subgraph") {
  const Graph graph = layers(2);
  const Motifs motifs = mined({graph}, {.method = MiningMethod::kFixedCount, .count = 1});
  CHECK(motifs.motif_id == std::vector<Hash128>{structural_hash(graph.view())});
}

TEST_CASE("equal blocks share an id, within a graph and across graphs") {
  const Motifs motifs = mined({layers(3), layers(5)}, {});
  std::map<Hash128, int> count;
  for (Hash128 id : motifs.motif_id) ++count[id];
  CHECK(count[motifs.motif_id[1]] == 8);
}

TEST_CASE("impossible limits are refused") {
  for (const MiningOptions& options :
       {MiningOptions{.size = 0}, MiningOptions{.count = 0}, MiningOptions{.min_size = 0},
        MiningOptions{.min_size = 5, .max_size = 4}})
    CHECK_THROWS_AS(mined({layers(1)}, options), std::invalid_argument);
}

TEST_CASE("a cyclic motif is refused") {
  const std::vector<Graph> cycle{{{2, 2}, {0, 0}, {0, 1, 2}, {1, 0}}};
  CHECK_THROWS_AS(mined(cycle, {.method = MiningMethod::kFixedCount, .count = 1}), InvalidGraph);
  CHECK_NOTHROW(mined(cycle, {.method = MiningMethod::kFixedSize, .size = 1}));
}

}  // namespace
}  // namespace narfast
