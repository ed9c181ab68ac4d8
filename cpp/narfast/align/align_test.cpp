// Alignment of networks written by hand, with the truth known from how they were made.
#include "narfast/align/align.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "narfast/testing/test_graphs.h"

namespace narfast {
namespace {

using testing::Net;
using Pairs = std::map<NodeId, NodeId>;  // node of a -> node of b
using Edge = std::pair<NodeId, NodeId>;

// What every alignment must be: one-to-one, both directions alike, edges counted, and the inverse
// when the graphs change places.
Alignment checked(const Net& a, const Net& b, Parts parts = {}) {
  const GraphView left = a.view(), right = b.view();
  Alignment found = align(left, right, parts);
  REQUIRE(found.to_b.size() == left.op.size());
  REQUIRE(found.to_a.size() == right.op.size());
  for (std::size_t i = 0; i < found.to_b.size(); ++i)
    if (found.to_b[i] >= 0) CHECK(found.to_a[index(found.to_b[i])] == static_cast<NodeId>(i));
  for (std::size_t i = 0; i < found.to_a.size(); ++i)
    if (found.to_a[i] >= 0) CHECK(found.to_b[index(found.to_a[i])] == static_cast<NodeId>(i));

  std::multiset<Edge> edges;
  for (NodeId node = 0; node < right.num_nodes(); ++node)
    for (const NodeId source : right.inputs(node)) edges.emplace(source, node);
  Offset kept = 0;
  for (NodeId node = 0; node < left.num_nodes(); ++node)
    for (const NodeId source : left.inputs(node)) {
      const auto edge = edges.find({found.to_b[index(source)], found.to_b[index(node)]});
      if (edge == edges.end()) continue;
      ++kept;
      edges.erase(edge);
    }
  CHECK(found.kept_edges == kept);

  const Alignment back = align(right, left, {parts.of_b, parts.of_a});
  CHECK(back.to_b == found.to_a);
  CHECK(back.to_a == found.to_b);
  CHECK(back.kept_edges == found.kept_edges);
  CHECK(align(left, right, parts) == found);
  return found;
}

Pairs pairs_of(const Alignment& alignment) {
  Pairs pairs;
  for (std::size_t i = 0; i < alignment.to_b.size(); ++i)
    if (alignment.to_b[i] >= 0) pairs[static_cast<NodeId>(i)] = alignment.to_b[i];
  return pairs;
}

// The network with the partners given, and nothing else.
void check_pairs(const Net& a, const Net& b, const Pairs& truth) {
  CHECK(pairs_of(checked(a, b)) == truth);
}

// Nodes [0, first) stay, `added` new ones follow, the rest moves up.
Pairs shifted(NodeId nodes, NodeId first, NodeId added) {
  Pairs truth;
  for (NodeId node = 0; node < nodes; ++node) truth[node] = node < first ? node : node + added;
  return truth;
}

NodeId residual(Net& net, NodeId x) {
  return net.add("add", {net.chain(x, {"layer_norm", "linear", "gelu", "linear"}), x});
}

void check_identity(const Net& net) {
  Pairs same;
  for (NodeId node = 0; node < net.view().num_nodes(); ++node) same[node] = node;
  const Alignment found = checked(net, net);
  CHECK(pairs_of(found) == same);
  CHECK(found.kept_edges == net.view().num_edges());
}

Net random_net(unsigned seed, NodeId nodes) {
  std::mt19937 random(seed);
  const std::vector<std::string_view> ops{"conv", "relu", "add", "linear", "concat", "gelu"};
  Net net;
  net.input();
  for (NodeId i = 1; i < nodes; ++i) {
    const auto near = [&] {
      return i - 1 - static_cast<NodeId>(random() % static_cast<unsigned>(std::min(i, 4)));
    };
    const std::string_view op = ops[random() % ops.size()];
    const Attr attr = random() % 3 == 0 ? 1 : 0;
    if (random() % 5 == 0)
      net.add(op, std::vector<NodeId>{}, attr);
    else if (op == "add" || op == "concat")
      net.add(op, {near(), near()}, attr);
    else
      net.add(op, {near()}, attr);
  }
  return net;
}

TEST_CASE("nothing, and one node") {
  const Net nothing;
  Net one, other;
  one.input();
  other.add("embedding", {});
  CHECK(checked(nothing, nothing).kept_edges == 0);
  check_pairs(nothing, one, {});
  check_pairs(one, nothing, {});
  check_pairs(one, one, {{0, 0}});
  CHECK(checked(one, other).kept_edges == 0);
}

TEST_CASE("a graph is aligned with itself by the identity") {
  for (unsigned seed = 0; seed < 20; ++seed) check_identity(random_net(seed, 40));
  Net twins;  // nodes that nothing tells apart
  const NodeId x = twins.input();
  for (int i = 0; i < 20; ++i) twins.add("relu", {x});
  check_identity(twins);
}

TEST_CASE("the alignment is one-to-one, and the inverse of that of b with a") {
  for (unsigned seed = 0; seed < 60; ++seed)
    checked(random_net(seed, 5 + static_cast<NodeId>(seed)), random_net(seed + 1000, 40));
}

TEST_CASE("an operator put in") {
  for (const NodeId place : {1, 4, 9}) {
    Net a, b;
    NodeId x = a.input(), y = b.input();
    const std::vector<std::string_view> ops{"conv", "relu", "conv",    "sigmoid", "conv",
                                            "tanh", "conv", "softmax", "linear"};
    for (const std::string_view op : ops) {
      if (b.view().num_nodes() == place) y = b.add("layer_norm", {y});
      x = a.add(op, {x});
      y = b.add(op, {y});
    }
    check_pairs(a, b, shifted(a.view().num_nodes(), place, 1));
  }
}

TEST_CASE("a branch put in beside a residual layer") {
  Net a, b;
  for (Net* net : {&a, &b}) {
    NodeId x = net->chain(net->input(), {"conv", "max_pool"});
    for (int layer = 0; layer < 4; ++layer) {
      NodeId branch = net->chain(x, {"conv", "batch_norm", "relu", "conv"});
      if (net == &b && layer == 2)  // squeeze and excitation: nodes 18 to 22
        branch = net->add(
            "mul", {branch, net->chain(branch, {"global_avg_pool", "linear", "relu", "sigmoid"})});
      x = net->chain(net->add("add", {branch, x}), {"relu"});
    }
    net->chain(x, {"global_avg_pool", "linear"});
  }
  // Layers of six nodes begin at 3.
  check_pairs(a, b, shifted(a.view().num_nodes(), 3 + 2 * 6 + 4, 5));
}

TEST_CASE("a layer more or less keeps whole layers together") {
  for (const int more : {1, 2, 12}) {
    Net a, b;
    for (Net* net : {&a, &b}) {
      NodeId x = net->chain(net->input(), {"conv", "softmax"});
      for (int layer = 0; layer < (net == &a ? 12 : 12 + more); ++layer) x = residual(*net, x);
      net->chain(x, {"layer_norm", "linear"});
    }
    const Alignment found = checked(a, b);
    const Pairs pairs = pairs_of(found);
    CHECK(pairs.size() == a.graph().op.size());
    // Only the edges across the gap are lost: into the branch, and past it.
    CHECK(found.kept_edges >= a.view().num_edges() - 2);
    for (int layer = 0; layer < 12; ++layer)  // five nodes each, the first after the stem
      for (NodeId i = 1; i < 5; ++i)
        CHECK(pairs.at(3 + 5 * layer + i) == pairs.at(3 + 5 * layer) + i);
  }
}

// Two towers, here in this order and there in that.
NodeId tower(Net& net, bool convolutional) {
  NodeId x = net.input();
  for (int i = 0; i < 5; ++i)
    x = convolutional ? net.chain(x, {"conv", "batch_norm", "relu"}) : residual(net, x);
  return x;
}

TEST_CASE("towers in another order") {
  Net a, b;
  for (Net* net : {&a, &b}) {
    const bool first = net == &a;
    const NodeId one = tower(*net, first), other = tower(*net, !first);
    net->chain(net->add("concat",
                        first ? std::vector<NodeId>{one, other} : std::vector<NodeId>{other, one}),
               {"linear"});
  }
  Pairs truth;
  const NodeId convolutional = 16, residuals = 26;
  for (NodeId i = 0; i < convolutional; ++i) truth[i] = residuals + i;
  for (NodeId i = 0; i < residuals; ++i) truth[convolutional + i] = i;
  for (NodeId i = convolutional + residuals; i < a.view().num_nodes(); ++i) truth[i] = i;
  check_pairs(a, b, truth);
}

TEST_CASE("other attributes are the same operators") {
  Net a, b;
  for (Net* net : {&a, &b}) {
    NodeId x = net->input();
    for (int i = 0; i < 6; ++i) {
      x = net->add("conv", {x}, net == &b ? 5U : 3U);
      x = net->chain(x, {"relu"});
    }
  }
  check_pairs(a, b, shifted(a.view().num_nodes(), 0, 0));
  CHECK(checked(a, b).kept_edges == a.view().num_edges());
}

TEST_CASE("an operator stands for another of its kind, everywhere or once") {
  for (const int where : {-1, 3}) {
    Net a, b;
    for (Net* net : {&a, &b}) {
      NodeId x = net->input();
      for (int layer = 0; layer < 6; ++layer) {
        const bool other = net == &b && (where < 0 || where == layer);
        const NodeId norm = net->add(other ? "rms_norm" : "layer_norm", {x});
        x = net->add("add", {net->chain(norm, {"linear", other ? "silu" : "gelu", "linear"}), x});
      }
    }
    check_pairs(a, b, shifted(a.view().num_nodes(), 0, 0));
  }
}

TEST_CASE("operators of different kinds are no pair") {
  Net a, b;
  a.chain(a.input(), {"conv", "relu"});
  b.chain(b.add("embedding", {}), {"softmax", "max_pool", "layer_norm"});
  for (const auto& [node, partner] : pairs_of(checked(a, b)))
    CHECK(operator_table()[a.graph().op[index(node)]].category ==
          operator_table()[b.graph().op[index(partner)]].category);
}

TEST_CASE("an edge that stands twice is kept as often as both have it") {
  Net a, b;
  a.chain(a.add("add", std::vector<NodeId>(2, a.input())), {"relu"});
  const NodeId x = b.input(), y = b.input();
  b.chain(b.add("add", {x, y}), {"relu"});
  check_identity(a);
  CHECK(checked(a, b).kept_edges == 2);  // one of the two arguments, and the relu
}

TEST_CASE("nodes of equal parts are matched first, nodes of part -1 stay alone") {
  Net net;
  NodeId x = net.input();
  for (int layer = 0; layer < 4; ++layer) x = residual(net, x);
  const std::size_t nodes = net.graph().op.size();
  // The first layer of a is the last of b, and the other way about.
  std::vector<std::int32_t> of_a(nodes, 0), of_b(nodes, 0);
  for (std::size_t i = 0; i < 5; ++i) {
    of_a[1 + i] = of_b[nodes - 5 + i] = 1;
    of_b[1 + i] = of_a[nodes - 5 + i] = 2;
  }
  const Pairs crossed = pairs_of(checked(net, net, {of_a, of_b}));
  CHECK(crossed.at(2) == static_cast<NodeId>(nodes) - 4);
  CHECK(crossed.at(static_cast<NodeId>(nodes) - 4) == 2);

  std::fill(of_a.begin(), of_a.end(), 0);
  of_b = of_a;
  of_a[3] = of_a[7] = of_b[7] = of_b[9] = -1;
  const Alignment found = checked(net, net, {of_a, of_b});
  CHECK(found.to_b[3] == -1);
  CHECK(found.to_b[7] == -1);
  CHECK(found.to_a[7] == -1);
  CHECK(found.to_a[9] == -1);
  const Alignment alone = checked(net, net, {of_a, of_a});
  CHECK(alone.to_b[3] == -1);
  CHECK(alone.to_b[4] == 4);
}

TEST_CASE("parts that do not fit are refused") {
  Net a, b;
  a.chain(a.input(), {"relu"});
  b.input();
  const Net nothing;
  const std::vector<std::int32_t> one(1, 0), two(2, 0), none;
  CHECK_NOTHROW(align(a.view(), b.view(), {two, one}));
  for (const auto& [of_a, of_b] : {std::pair{one, one}, std::pair{two, two}, std::pair{none, one},
                                   std::pair{two, none}, std::pair{one, two}})
    CHECK_THROWS_AS(align(a.view(), b.view(), {of_a, of_b}), InvalidGraph);
  CHECK_NOTHROW(align(nothing.view(), b.view(), {none, one}));
  CHECK_THROWS_AS(align(nothing.view(), b.view(), {none, two}), InvalidGraph);
  CHECK_THROWS_AS(align(b.view(), b.view(), {two, two}), InvalidGraph);
}

// Large graphs, so that a step that is quadratic takes minutes.

constexpr NodeId kMany = 30'000;

double seconds(const Net& a, const Net& b) {
  const auto start = std::chrono::steady_clock::now();
  const Alignment found = align(a.view(), b.view());
  CHECK(found.to_b.size() == a.graph().op.size());
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

constexpr double kEnough = 60;  // under sanitizers, on a busy machine; linear work takes two

TEST_CASE("long chains") {
  Net one, other, longer;
  for (Net* net : {&one, &other, &longer}) {
    NodeId x = net->input();
    for (NodeId i = 1; i < (net == &longer ? 2 : 1) * kMany; ++i)
      x = net->add(net == &other ? "gelu" : i % 7 ? "relu" : "linear", {x});
  }
  CHECK(seconds(one, other) < kEnough);
  CHECK(seconds(one, longer) < kEnough);
}

TEST_CASE("a node with many readers, each of them with its own attributes or all alike") {
  const auto star = [](std::string_view hub, std::string_view leaf, bool own, NodeId readers) {
    Net net;
    const NodeId center = net.add(hub, {net.input()});
    for (NodeId i = 0; i < readers; ++i)
      net.add(leaf, {center}, own ? static_cast<Attr>(i) : Attr{0});
    return net;
  };
  const Net one = star("layer_norm", "conv", true, kMany);
  CHECK(seconds(one, star("rms_norm", "conv", true, kMany)) < kEnough);
  CHECK(seconds(one, star("max_pool", "conv", true, kMany)) < kEnough);
  const Net alike = star("layer_norm", "conv", false, kMany);
  CHECK(seconds(alike, one) < kEnough);
  CHECK(seconds(alike, star("softmax", "linear", false, kMany - 1)) < kEnough);
}

TEST_CASE("a node with many inputs, and many nodes beside a hub") {
  constexpr NodeId kInputs = kMany / 2;
  const auto fan_in = [](std::string_view source, bool own, NodeId more) {
    Net net;
    const NodeId x = net.input();
    std::vector<NodeId> inputs;
    for (NodeId i = 0; i < kInputs + more; ++i)
      inputs.push_back(net.add(source, {x}, own ? static_cast<Attr>(i) : Attr{0}));
    const NodeId hub = net.add("concat", inputs);
    for (NodeId i = 0; i < kInputs; ++i) net.add("relu", {hub});
    return net;
  };
  CHECK(seconds(fan_in("conv", true, 0), fan_in("conv", true, 1)) < kEnough);
  CHECK(seconds(fan_in("conv", false, 0), fan_in("linear", false, 0)) < kEnough);

  // The readers of one node: a hub, and as many others of its operator.
  const auto beside = [](NodeId readers) {
    Net net;
    const NodeId x = net.input();
    const NodeId hub = net.add("relu", {x});
    for (NodeId i = 0; i < kInputs; ++i) net.add("relu", {x}, static_cast<Attr>(i % 3));
    for (NodeId i = 0; i < readers; ++i) net.add("tanh", {hub}, static_cast<Attr>(i));
    return net;
  };
  CHECK(seconds(beside(kInputs), beside(kInputs - 1)) < kEnough);

  // Nodes that each read their own, against one that reads all.
  Net apart, joined;
  std::vector<NodeId> inputs;
  for (NodeId i = 0; i < kInputs; ++i) {
    apart.add("concat", {apart.input()});
    inputs.push_back(joined.input());
  }
  joined.add("concat", inputs);
  CHECK(seconds(apart, joined) < kEnough);
}

TEST_CASE("a dense graph") {
  const auto dense = [](NodeId layers, std::string_view op) {
    Net net;
    std::vector<NodeId> all{net.input()};
    for (NodeId i = 0; i < layers; ++i) all.push_back(net.chain(net.add("concat", all), {op}));
    return net;
  };
  CHECK(seconds(dense(400, "conv"), dense(440, "conv")) < kEnough);
  CHECK(seconds(dense(400, "conv"), dense(400, "linear")) < kEnough);
}

}  // namespace
}  // namespace narfast
