// What a canonical node keeps of the operators behind it.
#include "narfast/graph/hyperparameters.h"

#include <doctest/doctest.h>

#include <map>

#include "narfast/graph/attributes.h"
#include "narfast/graph/operators.h"
#include "narfast/passes/canonicalize.h"
#include "narfast/testing/test_graphs.h"

namespace narfast {
namespace {

using enum Hyperparameter;
using testing::Net;
using Row = std::map<Hyperparameter, std::vector<std::int64_t>>;

// The rows of a raw graph, where most nodes have none.
Hyperparameters rows_of(NodeId nodes, const std::map<NodeId, Row>& known) {
  Hyperparameters rows;
  for (NodeId node = 0; node < nodes; ++node) {
    if (const auto found = known.find(node); found != known.end())
      for (const auto& [key, values] : found->second)
        for (const std::int64_t value : values) rows.add(key, value);
    rows.end_row();
  }
  return rows;
}

Row row_of(const Hyperparameters& rows, NodeId node) {
  Row row;
  for (auto i = rows.ptr[index(node)]; i < rows.ptr[index(node) + 1]; ++i)
    row[static_cast<Hyperparameter>(rows.key[index(i)])].push_back(rows.value[index(i)]);
  return row;
}

// The canonical graph of `net`, and the rows of its nodes.
struct Canonical {
  Graph graph;
  Hyperparameters rows;
};
Canonical canonical(const Net& net, const std::map<NodeId, Row>& known) {
  const Hyperparameters rows = rows_of(net.view().num_nodes(), known);
  Rewriter::Result result = canonicalize_with_origins(net.view(), all_passes());
  Hyperparameters fused =
      fuse_hyperparameters(net.view(), rows.view(), 0, result.graph.view(), result.origins);
  return {std::move(result.graph), std::move(fused)};
}

TEST_CASE("a convolution keeps its window and what it swallowed") {
  Net net;
  const NodeId x = net.input();
  const NodeId padded = net.add("pad", {x});
  const NodeId conv = net.add("conv", {padded}, attr::kKernel.pack(3));
  const NodeId norm = net.add("batch_norm", {conv});
  net.add("relu", {net.add("identity", {norm})});
  const auto [graph, rows] = canonical(net, {{padded, {{kPadding, {2, 1}}}},
                                             {conv,
                                              {{kKernel, {3, 3}},
                                               {kPadding, {0, 1}},
                                               {kOutChannels, {64}},
                                               {kParams, {576}},
                                               {kPath, {1}}}},
                                             {norm, {{kNormSize, {64}}, {kParams, {128}}}}});
  REQUIRE(testing::op_names(graph.view()) == testing::Names{"input", "conv", "relu"});
  CHECK(row_of(rows, 1) == Row{{kKernel, {3, 3}},
                               {kPadding, {2, 2}},
                               {kOutChannels, {64}},
                               {kParams, {704}},
                               {kFused, {"batch_norm"_op}},
                               {kPath, {1}}});
  CHECK(row_of(rows, 2).empty());
}

TEST_CASE("projections side by side add up, and attention finds its heads in the softmax") {
  Net net;
  const NodeId x = net.input();
  const auto projection = [&](const char* op) { return net.add(op, {x}); };
  const NodeId q = projection("linear"), k = projection("linear"), v = projection("linear");
  const NodeId softmax = net.add("softmax", {net.add("matmul", {q, k})});
  net.add("matmul", {softmax, v});
  const Row linear{{kInChannels, {64}}, {kOutChannels, {64}}, {kParams, {4096}}};
  const auto [graph, rows] =
      canonical(net, {{q, linear}, {k, linear}, {v, linear}, {softmax, {{kHeads, {8}}}}});
  REQUIRE(testing::op_names(graph.view()) == testing::Names{"input", "linear", "attention"});
  CHECK(row_of(rows, 1) == Row{{kInChannels, {64}}, {kOutChannels, {192}}, {kParams, {3 * 4096}}});
  CHECK(row_of(rows, 2) == Row{{kHeads, {8}}});
}

TEST_CASE("a gate beside its value is one projection of both widths") {
  Net net;
  const NodeId x = net.input();
  const NodeId gate = net.add("linear", {x});
  const NodeId act = net.add("gelu", {gate});
  const NodeId value = net.add("linear", {x});
  net.add("mul", {act, value});
  const Row linear{{kOutChannels, {32}}, {kParams, {10}}};
  const auto [graph, rows] =
      canonical(net, {{gate, linear}, {value, linear}, {act, {{kPath, {7}}}}});
  REQUIRE(testing::op_names(graph.view()) ==
          testing::Names{"input", "linear", "split", "gelu", "mul"});
  CHECK(row_of(rows, 1) == Row{{kOutChannels, {64}}, {kParams, {20}}});
  CHECK(row_of(rows, 2).empty());
  CHECK(row_of(rows, 3) == Row{{kPath, {7}}});
}

TEST_CASE("a row stays short, however much the operator swallowed") {
  Net net;
  const NodeId x = net.input();
  std::vector<NodeId> branches;
  std::map<NodeId, Row> known;
  for (int i = 0; i < 300; ++i) {
    const NodeId conv = net.add("conv", {x}, attr::kKernel.pack(3));
    known[conv] = {{kKernel, std::vector<std::int64_t>(9, 3)}, {kPath, {1}}};
    branches.push_back(net.add("batch_norm", {conv}));
  }
  net.add("concat", branches);
  const auto [graph, rows] = canonical(net, known);
  for (NodeId node = 0; node < graph.view().num_nodes(); ++node)
    if (graph.op[index(node)] == "conv"_op)
      CHECK(row_of(rows, node) == Row{{kFused, {"batch_norm"_op}}, {kPath, {1}}});
}

TEST_CASE("rows that do not fit their graph are refused") {
  Hyperparameters rows = rows_of(2, {{1, {{kKernel, {3}}, {kStride, {1}}}}});
  CHECK_NOTHROW(validate(rows.view(), 2));
  CHECK_THROWS_AS(validate(rows.view(), 3), InvalidGraph);
  std::swap(rows.key[0], rows.key[1]);
  CHECK_THROWS_AS(validate(rows.view(), 2), InvalidGraph);
  rows.key[0] = 200;
  CHECK_THROWS_AS(validate(rows.view(), 2), InvalidGraph);
}

TEST_CASE("a row is kept in the order of its keys") {
  Hyperparameters rows;
  rows.add(kPath, 4);
  rows.add(kKernel, 7);
  rows.add(kKernel, 5);
  rows.end_row();
  CHECK(row_of(rows, 0) == Row{{kKernel, {7, 5}}, {kPath, {4}}});
  CHECK(rows.key[0] == static_cast<std::uint8_t>(kKernel));
  CHECK(select_rows(rows.view(), std::vector<NodeId>{0, 0}).value.size() == 6);
}

}  // namespace
}  // namespace narfast
