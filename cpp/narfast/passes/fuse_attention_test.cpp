// Attention written out as products around a softmax, joined to its projections.
#include <doctest/doctest.h>

#include "narfast/graph/attributes.h"
#include "narfast/testing/pass_checks.h"

namespace narfast {
namespace {

using testing::Names;
using testing::Net;
using testing::op_names;
using testing::Sketch;

constexpr Attr kScalar = attr::kScalarOperand;
constexpr Attr kParam = attr::kParamOperand;

Graph fused(const Net& net) { return canonicalize(net.view(), pass_mask({"fuse_attention"})); }

// Three projections of one value, and attention written out over them.
struct Projections : Net {
  NodeId x = input();
  NodeId q = add("linear", {x}), k = add("linear", {x}), v = add("linear", {x});

  NodeId heads(NodeId projected) { return add("permute", {projected}); }
  NodeId attend(NodeId scores) {
    return add("matmul", {add("softmax", {scores}, attr::kLastAxis), heads(v)});
  }
};

void check_attention(const Net& net) {
  const Graph graph = fused(net);
  CHECK(op_names(graph.view()) == Names{"input", "linear", "linear", "linear", "attention"});
  const auto inputs = graph.view().inputs(4);
  CHECK(std::vector<NodeId>(inputs.begin(), inputs.end()) == std::vector<NodeId>{1, 2, 3});
}

TEST_CASE("matmul, scale, softmax, matmul, heads moved back") {
  Projections net;
  const NodeId scores = net.add("matmul", {net.heads(net.q), net.heads(net.heads(net.k))});
  net.heads(net.attend(net.add("div", {scores}, kScalar)));
  check_attention(net);
}

TEST_CASE("a scale on the queries, a position bias and a mask on the scores") {
  Projections net;
  const NodeId q = net.add("mul", {net.heads(net.q)}, kScalar);
  const NodeId scores = net.add("matmul", {q, net.heads(net.k)});
  const NodeId biased = net.add("add", {scores}, kParam);
  net.attend(net.add("where", {biased}, kScalar));
  check_attention(net);
}

TEST_CASE("the fused operator loses the same layout") {
  Projections net;
  const NodeId fused_op =
      net.add("attention", {net.heads(net.q), net.heads(net.k), net.heads(net.v)}, kScalar);
  net.heads(fused_op);
  check_attention(net);
}

TEST_CASE("one projection split in three feeds all three") {
  Net net;
  const NodeId qkv = net.add("split", {net.add("permute", {net.add("linear", {net.input()})})});
  net.add("attention", {qkv, qkv, qkv});
  const Graph graph = fused(net);
  CHECK(op_names(graph.view()) == Names{"input", "linear", "attention"});
  CHECK(graph.view().inputs(2).size() == 3);
}

TEST_CASE("untouched: a softmax whose product is not of scores") {
  Projections net;
  net.attend(net.add("linear", {net.q}));
  // The keys have no reader: an output of their own.
  CHECK(fused(net).op.size() == net.graph().op.size());
}

TEST_CASE("untouched: products without a softmax, a softmax that is the second factor") {
  Net net;
  const NodeId x = net.input();
  const NodeId scores = net.add("matmul", {x, x});
  const NodeId product = net.add("matmul", {scores, x});
  net.add("matmul", {product, net.add("softmax", {scores})});
  CHECK(fused(net) == net.graph());
}

TEST_CASE("untouched: a permutation that others than attention feed") {
  Net net;
  const NodeId x = net.input();
  const NodeId attention = net.add("attention", {x, x, x});
  net.add("sub", {net.add("permute", {attention}), attention});
  CHECK(fused(net) == net.graph());
}

TEST_CASE("exports replace what is not a number after the softmax") {
  Sketch s;
  const NodeId weights = s.add("softmax", {s.add("matmul", {s.x, s.x})}, attr::kLastAxis);
  SUBCASE("by a constant") {
    const NodeId guarded = s.add("where", {weights});
    CHECK(s.after({"fuse_attention"}, {s.add("matmul", {guarded, s.x})}) ==
          Names{"input", "attention"});
  }
  SUBCASE("not by another value") {
    const NodeId mixed = s.add("where", {weights, s.add("relu", {s.x})});
    CHECK(s.after({"fuse_attention"}, {s.add("matmul", {mixed, s.x})}) ==
          Names{"input", "matmul", "softmax", "relu", "where", "matmul"});
  }
}

TEST_CASE("queries may be learnt") {
  Sketch s;
  const NodeId keys = s.add("linear", {s.x});
  const NodeId values = s.add("linear", {s.x});
  const auto pooled = [&](Attr constant) {
    const NodeId scores = s.add("matmul", {keys}, kParam | constant);
    return s.add("matmul", {s.add("softmax", {scores}, attr::kLastAxis), values});
  };
  CHECK(s.after({"fuse_attention"}, {pooled(attr::kConstantFirst)}) ==
        Names{"input", "linear", "linear", "attention"});
  // The weights on the other side are a projection of the keys, not queries.
  CHECK(s.after({"fuse_attention"}, {pooled(0)}) ==
        Names{"input", "linear", "matmul", "softmax", "linear", "matmul"});
}

}  // namespace
}  // namespace narfast
