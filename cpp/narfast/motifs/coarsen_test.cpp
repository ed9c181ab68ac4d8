// Macro graphs of graphs small enough to draw.
#include "narfast/motifs/coarsen.h"

#include <doctest/doctest.h>

#include "narfast/testing/test_graphs.h"

namespace narfast {
namespace {

using testing::Net;

// input -> conv -> relu -> add, with a skip from conv: instances {input}, {conv, relu}, {add}.
Graph residual() {
  Net net;
  const NodeId x = net.input();
  const NodeId conv = net.add("conv", {x});
  net.add("add", {net.add("relu", {conv}), conv});
  return net.graph();
}

MacroGraphs coarsened(const std::vector<Graph>& graphs, const std::vector<std::int32_t>& instance,
                      const std::vector<Offset>& ptr, int threads = 1) {
  const GraphBatch batch = concatenate(graphs);
  return coarsen(batch.view(), instance, ptr, threads);
}

TEST_CASE("edges between instances are counted, those inside are gone") {
  const MacroGraphs macro = coarsened({residual()}, {0, 1, 1, 2}, {0, 3});
  CHECK(macro.in_ptr == std::vector<Offset>{0, 0, 1, 2});
  CHECK(macro.in_src == std::vector<std::int32_t>{0, 1});
  CHECK(macro.in_count == std::vector<std::int32_t>{1, 2});
  CHECK(macro.member_ptr == std::vector<Offset>{0, 1, 3, 4});
  CHECK(macro.member == std::vector<NodeId>{0, 1, 2, 3});
}

TEST_CASE("interleaved instances feed each other: the macro graph has a cycle") {
  const MacroGraphs macro = coarsened({residual()}, {0, 1, 0, 1}, {0, 2});
  CHECK(macro.in_ptr == std::vector<Offset>{0, 1, 2});
  CHECK(macro.in_src == std::vector<std::int32_t>{1, 0});
  CHECK(macro.in_count == std::vector<std::int32_t>{1, 2});
  CHECK(macro.member == std::vector<NodeId>{0, 2, 1, 3});
}

TEST_CASE("graphs of a batch stay apart, on any number of threads") {
  const std::vector<Graph> graphs{residual(), Graph{}, residual()};
  const std::vector<std::int32_t> instance{0, 1, 1, 2, 0, 0, 0, 1};
  const MacroGraphs macro = coarsened(graphs, instance, {0, 3, 3, 5});
  CHECK(macro.in_ptr == std::vector<Offset>{0, 0, 1, 2, 2, 3});
  CHECK(macro.in_src == std::vector<std::int32_t>{0, 1, 0});
  CHECK(macro.in_count == std::vector<std::int32_t>{1, 2, 2});
  CHECK(macro == coarsened(graphs, instance, {0, 3, 3, 5}, 3));
}

TEST_CASE("motifs that do not fit the batch are refused") {
  const std::vector<Graph> graphs{residual()};
  CHECK_THROWS_AS(coarsened(graphs, {0, 1, 1}, {0, 2}), InvalidGraph);
  CHECK_THROWS_AS(coarsened(graphs, {0, 1, 1, 2}, {0, 2}), InvalidGraph);
  CHECK_THROWS_AS(coarsened(graphs, {0, 1, 1, -1}, {0, 2}), InvalidGraph);
  CHECK_THROWS_AS(coarsened(graphs, {0, 0, 0, 2}, {0, 3}), InvalidGraph);
  CHECK_THROWS_AS(coarsened(graphs, {0, 1, 1, 2}, {0, 5}), InvalidGraph);
  CHECK_THROWS_AS(coarsened(graphs, {0, 1, 1, 2}, {0, -1}), InvalidGraph);
  CHECK_THROWS_AS(coarsened(graphs, {0, 1, 1, 2}, {0}), InvalidGraph);
  CHECK_THROWS_AS(coarsened(graphs, {0, 1, 1, 2}, {}), InvalidGraph);
}

}  // namespace
}  // namespace narfast
