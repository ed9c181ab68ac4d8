// Rotary embedding in the ways code bases write it.
#include <doctest/doctest.h>

#include "narfast/graph/attributes.h"
#include "narfast/graph/structural_hash.h"
#include "narfast/passes/canonicalize.h"
#include "narfast/testing/test_graphs.h"

namespace narfast {
namespace {

using testing::canonical;
using testing::Names;
using testing::Net;
using testing::op_names;
using testing::same_canonical;

constexpr Attr kParam = attr::kParamOperand;

// x * cos + (-x2, x1) * sin, with tables or with values computed from the input.
NodeId rotated(Net& net, NodeId x, NodeId table = -1) {
  const auto times = [&](NodeId value) {
    return table < 0 ? net.add("mul", {value}, kParam) : net.add("mul", {table, value});
  };
  const NodeId half = net.add("split", {x});
  const NodeId turned = net.add("concat", {net.add("neg", {half}), half});
  return net.add("add", {times(x), times(turned)});
}

TEST_CASE("rotary embedding in three spellings") {
  const auto graph_of = [](auto write) {
    Net net;
    net.chain(write(net, net.add("permute", {net.chain(net.input(), {"tanh"})})), {"exp"});
    return canonicalize(net.view(), pass_mask({"fuse_rotary"}));
  };
  const Names expected{"input", "tanh", "rotary_embedding", "exp"};
  CHECK(op_names(graph_of([](Net& n, NodeId x) { return rotated(n, x); }).view()) == expected);
  CHECK(op_names(graph_of([](Net& n, NodeId x) {
                   const NodeId half = n.add("split", {x});
                   const auto times = [&] { return n.add("mul", {half}, kParam); };
                   return n.add("concat", {n.add("sub", {times(), times()}),
                                           n.add("add", {times(), times()})});
                 }).view()) == expected);
  CHECK(op_names(graph_of([](Net& n, NodeId x) {
                   const NodeId part = n.add("split", {x});
                   return n.add("concat", {rotated(n, part), part});
                 }).view()) == expected);
}

TEST_CASE("rotary embedding by tables that positions in the input give") {
  Net net;
  const NodeId table = net.add("cos", {net.input()});
  net.chain(rotated(net, net.chain(net.input(), {"tanh"}), table), {"exp"});
  const Graph graph = canonicalize(net.view(), pass_mask({"fuse_rotary"}));
  CHECK(op_names(graph.view()) == Names{"input", "tanh", "rotary_embedding", "exp"});
}

TEST_CASE("untouched: a sum of scaled values, halves without a sign") {
  Net net;
  const NodeId x = net.input();
  const NodeId half = net.add("split", {x});
  const NodeId swapped = net.add("concat", {half, half});
  net.add("add", {net.add("mul", {x}, kParam), net.add("mul", {swapped}, kParam)});
  CHECK(canonicalize(net.view(), pass_mask({"fuse_rotary"})).op.size() == net.graph().op.size());
}

TEST_CASE("rotated queries and keys, from one projection or three") {
  Net apart, together;
  {
    const NodeId x = apart.input();
    const NodeId q = rotated(apart, apart.add("permute", {apart.add("linear", {x})}));
    const NodeId k = rotated(apart, apart.add("permute", {apart.add("linear", {x})}));
    apart.add("attention", {q, k, apart.add("linear", {x})});
  }
  {
    const NodeId qkv = together.add("split", {together.add("linear", {together.input()})});
    together.add("attention", {rotated(together, qkv), rotated(together, qkv), qkv});
  }
  CHECK(same_canonical(apart, together));
  CHECK(op_names(canonical(apart).view()) ==
        Names{"input", "linear", "rotary_embedding", "attention"});
}

}  // namespace
}  // namespace narfast
