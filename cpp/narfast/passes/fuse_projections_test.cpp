// Projections that are read together, in the ways code bases write them.
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
constexpr Attr ratio(int log2) {
  return attr::kRatio.pack(static_cast<Attr>(log2 + attr::kRatioOne));
}

Graph fused(const Net& net) { return canonicalize(net.view(), pass_mask({"fuse_projections"})); }

TEST_CASE("query, key and value of one value are one projection") {
  Net net;
  const NodeId x = net.input();
  const NodeId q = net.add("linear", {x}, ratio(0));
  const NodeId k = net.add("linear", {x}, ratio(-2)), v = net.add("linear", {x}, ratio(-2));
  net.add("attention", {q, k, v});
  const Graph graph = fused(net);
  CHECK(op_names(graph.view()) == Names{"input", "linear", "attention"});
  CHECK(graph.attr[1] == ratio(1));  // 1 + 1/4 + 1/4 = 1.5, to the nearest power of two
  CHECK(graph.view().inputs(2).size() == 3);
}

TEST_CASE("in cross attention, key and value are one and the query is another") {
  Net net;
  const NodeId x = net.input(), memory = net.input();
  const NodeId q = net.add("linear", {x}, ratio(0));
  const NodeId k = net.add("linear", {memory}, ratio(0)), v = net.add("linear", {memory}, ratio(0));
  net.add("attention", {q, k, v});
  CHECK(op_names(fused(net).view()) == Names{"input", "linear", "input", "linear", "attention"});
}

TEST_CASE("norms of queries and keys, written apart or on the parts of one projection") {
  Net apart, together;
  {
    const NodeId x = apart.input();
    const NodeId q = apart.add("rms_norm", {apart.add("permute", {apart.add("linear", {x})})});
    const NodeId k = apart.add("rms_norm", {apart.add("permute", {apart.add("linear", {x})})});
    apart.add("attention", {q, k, apart.add("linear", {x})});
  }
  {
    const NodeId qkv = together.add("split", {together.add("linear", {together.input()})});
    const NodeId q = together.add("rms_norm", {qkv}), k = together.add("rms_norm", {qkv});
    together.add("attention", {q, k, qkv});
  }
  CHECK(same_canonical(apart, together));
}

TEST_CASE("untouched: projections that others read too, or of different values") {
  Net net;
  const NodeId x = net.input(), y = net.input();
  const NodeId q = net.add("linear", {x}), k = net.add("linear", {x}), v = net.add("linear", {y});
  net.add("attention", {q, k, v});
  net.add("tanh", {k});
  CHECK(fused(net).op.size() == net.graph().op.size());
}

TEST_CASE("gate and value, apart or as parts of one projection") {
  for (const char* activation : {"silu", "gelu", "relu", "sigmoid"}) {
    Net apart, swapped, together;
    {
      const NodeId x = apart.input();
      const NodeId gate = apart.add(activation, {apart.add("linear", {x}, ratio(1))});
      apart.chain(apart.add("mul", {gate, apart.add("linear", {x}, ratio(1))}), {"tanh"});
    }
    {
      const NodeId x = swapped.input();
      const NodeId value = swapped.add("linear", {x}, ratio(1));
      const NodeId gate = swapped.add(activation, {swapped.add("linear", {x}, ratio(1))});
      swapped.chain(swapped.add("mul", {value, gate}), {"tanh"});
    }
    {
      const NodeId both = together.add("linear", {together.input()}, ratio(2));
      const NodeId parts = together.add("split", {both});
      together.chain(together.add("mul", {together.add(activation, {parts}), parts}), {"tanh"});
    }
    CHECK(same_canonical(apart, together));
    CHECK(same_canonical(swapped, together));
  }
}

TEST_CASE("untouched: a gate of another value or width, a projection that others read") {
  Net net;
  const NodeId x = net.input(), y = net.input();
  net.add("mul", {net.add("silu", {net.add("linear", {x})}), net.add("linear", {y})});
  net.add("mul",
          {net.add("silu", {net.add("linear", {x}, ratio(0))}), net.add("linear", {x}, ratio(2))});
  const NodeId shared = net.add("linear", {x}, ratio(3));
  net.add("mul", {net.add("silu", {net.add("linear", {x}, ratio(3))}), shared});
  net.add("tanh", {shared});
  CHECK(fused(net).op.size() == net.graph().op.size());
}

}  // namespace
}  // namespace narfast
