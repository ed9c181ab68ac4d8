// The passes and rules that bring ONNX exports to the graph of the trace: what each does, and what
// it must not touch.
#include <doctest/doctest.h>

#include <initializer_list>
#include <string_view>
#include <vector>

#include "narfast/graph/attributes.h"
#include "narfast/graph/operators.h"
#include "narfast/passes/canonicalize.h"

namespace narfast {
namespace {

using Ops = std::vector<std::string_view>;

/// A graph written down node by node; `x` is its input.
struct Sketch {
  LooseGraph loose;
  NodeId x = add("input", {});

  NodeId add(std::string_view op, std::initializer_list<NodeId> inputs, Attr attr = 0) {
    loose.op.push_back(operator_id(op));
    loose.attr.push_back(attr);
    loose.in_src.insert(loose.in_src.end(), inputs.begin(), inputs.end());
    loose.in_ptr.push_back(static_cast<Offset>(loose.in_src.size()));
    return static_cast<NodeId>(loose.op.size() - 1);
  }

  Ops after(std::vector<std::string_view> passes, std::vector<NodeId> outputs) {
    loose.outputs = std::move(outputs);
    const Graph graph = order_nodes(loose).graph;
    const Graph result = canonicalize(graph.view(), pass_mask(passes));
    Ops names;
    for (const OpId op : result.op) names.push_back(operator_table()[op].name);
    return names;
  }
};

constexpr Attr kParam = attr::kParamOperand;

TEST_CASE("fuse_affine: a learnt scale, then a learnt shift") {
  Sketch s;
  const NodeId scaled = s.add("mul", {s.x}, kParam);
  const NodeId shifted = s.add("add", {scaled}, kParam);
  SUBCASE("fused") { CHECK(s.after({"fuse_affine"}, {shifted}) == Ops{"input", "affine"}); }
  SUBCASE("not when the scaled value has another reader") {
    const NodeId other = s.add("relu", {scaled});
    CHECK(s.after({"fuse_affine"}, {shifted, other}) == Ops{"input", "mul", "add", "relu"});
  }
  SUBCASE("not a residual after a layer scale") {
    const NodeId residual = s.add("add", {s.x, scaled});
    CHECK(s.after({"fuse_affine"}, {residual}) == Ops{"input", "mul", "add"});
  }
  SUBCASE("not numbers") {
    const NodeId number = s.add("add", {scaled}, attr::kScalarOperand);
    CHECK(s.after({"fuse_affine"}, {number}) == Ops{"input", "mul", "add"});
  }
}

TEST_CASE("fuse_parts: parts of one value, put together again") {
  Sketch s;
  const NodeId parts = s.add("split", {s.x});
  const NodeId rolled = s.add("concat", {parts, parts});
  SUBCASE("along one axis") { CHECK(s.after({"fuse_parts"}, {rolled}) == Ops{"input", "roll"}); }
  SUBCASE("along two axes it is still one") {
    const NodeId again = s.add("split", {rolled});
    const NodeId both = s.add("concat", {again, again});
    CHECK(s.after({"fuse_parts"}, {both}) == Ops{"input", "roll"});
  }
  SUBCASE("not when one part was changed") {
    const NodeId changed = s.add("concat", {parts, s.add("relu", {parts})});
    CHECK(s.after({"fuse_parts"}, {changed}) == Ops{"input", "split", "relu", "concat"});
  }
  SUBCASE("four parts of parts are moved from space to channels") {
    const NodeId quarters = s.add("slice", {parts});
    const NodeId four = s.add("concat", {quarters, quarters, quarters, quarters});
    CHECK(s.after({"fuse_parts"}, {four}) == Ops{"input", "permute"});
  }
  SUBCASE("not beside a learnt part") {
    const NodeId token = s.add("concat", {parts, parts}, attr::kParamOperand);
    CHECK(s.after({"fuse_parts"}, {token}) == Ops{"input", "split", "concat"});
  }
}

TEST_CASE("merge_twins: equal poolings and activations of one value") {
  Sketch s;
  SUBCASE("merged") {
    const NodeId sum = s.add("add", {s.add("max_pool", {s.x}, 3), s.add("max_pool", {s.x}, 3)});
    CHECK(s.after({"merge_twins"}, {sum}) == Ops{"input", "max_pool", "add"});
  }
  SUBCASE("not with other attributes") {
    const NodeId sum = s.add("add", {s.add("max_pool", {s.x}, 3), s.add("max_pool", {s.x}, 2)});
    CHECK(s.after({"merge_twins"}, {sum}) == Ops{"input", "max_pool", "max_pool", "add"});
  }
  SUBCASE("not operators with weights of their own") {
    const NodeId sum = s.add("add", {s.add("prelu", {s.x}), s.add("prelu", {s.x})});
    CHECK(s.after({"merge_twins"}, {sum}) == Ops{"input", "prelu", "prelu", "add"});
    const NodeId convs = s.add("add", {s.add("conv", {s.x}), s.add("conv", {s.x})});
    CHECK(s.after({"merge_twins"}, {convs}) == Ops{"input", "conv", "conv", "add"});
  }
}

TEST_CASE("drop_transparent: a concatenation of one value, unless a constant joins it") {
  Sketch s;
  const NodeId alone = s.add("relu", {s.add("concat", {s.x})});
  CHECK(s.after({"drop_transparent"}, {alone}) == Ops{"input", "relu"});
  const NodeId token = s.add("relu", {s.add("concat", {s.x}, kParam)});
  CHECK(s.after({"drop_transparent"}, {token}) == Ops{"input", "concat", "relu"});
}

TEST_CASE("fold_batch_norm: a second norm on a value that others read too stays") {
  Sketch s;
  const NodeId conv = s.add("conv", {s.x}, 3);
  const auto branches = [&](NodeId value) {
    return s.add("add", {s.add("relu", {value}), s.add("batch_norm", {value})});
  };
  const Ops expected{"input", "conv", "relu", "batch_norm", "add"};
  SUBCASE("as exported: the first is folded already") {
    CHECK(s.after({"fold_batch_norm"}, {branches(conv)}) == expected);
  }
  SUBCASE("as traced: folding the first must not hide the other reader") {
    CHECK(s.after({"fold_batch_norm"}, {branches(s.add("batch_norm", {conv}))}) == expected);
  }
}

TEST_CASE("fold_batch_norm: into the projection after it") {
  Sketch s;
  const NodeId norm = s.add("batch_norm", {s.x});
  SUBCASE("folded") {
    CHECK(s.after({"fold_batch_norm"}, {s.add("linear", {norm})}) == Ops{"input", "linear"});
  }
  SUBCASE("not into a convolution, whose padding it would shift") {
    CHECK(s.after({"fold_batch_norm"}, {s.add("conv", {norm})}) ==
          Ops{"input", "batch_norm", "conv"});
  }
  SUBCASE("not when others read it") {
    CHECK(s.after({"fold_batch_norm"}, {s.add("linear", {norm}), s.add("relu", {norm})}) ==
          Ops{"input", "batch_norm", "linear", "relu"});
  }
}

TEST_CASE("fold_batch_norm comes before permutations are looked at") {
  // After a 1x1 convolution at a map: a linear layer by the time that later passes run.
  Sketch s;
  const Attr pointwise = attr::kKernelOne | attr::kGroupsDense;
  const NodeId conv = s.add("conv", {s.x}, pointwise);
  const std::vector<std::string_view> all{"fuse_linear", "fold_batch_norm", "drop_layout_permutes",
                                          "pointwise_to_linear"};
  SUBCASE("as traced") {
    const NodeId tokens = s.add("permute", {s.add("batch_norm", {conv})});
    CHECK(s.after(all, {s.add("relu", {tokens})}) == Ops{"input", "linear", "relu"});
  }
  SUBCASE("as exported") {
    const NodeId tokens = s.add("permute", {conv});
    CHECK(s.after(all, {s.add("relu", {tokens})}) == Ops{"input", "linear", "relu"});
  }
  SUBCASE("a permutation of what a linear layer gives stays") {
    const NodeId heads = s.add("permute", {s.add("linear", {s.x})});
    CHECK(s.after(all, {s.add("relu", {heads})}) == Ops{"input", "linear", "permute", "relu"});
  }
}

TEST_CASE("drop_scalar_scale: added numbers too, but not one minus x") {
  Sketch s;
  const NodeId sum = s.add("relu", {s.add("add", {s.x}, attr::kScalarOperand)});
  CHECK(s.after({"drop_scalar_scale"}, {sum}) == Ops{"input", "relu"});
  const NodeId rest = s.add("sub", {s.x}, attr::kScalarOperand | attr::kConstantFirst);
  CHECK(s.after({"drop_scalar_scale"}, {rest}) == Ops{"input", "sub"});
}

TEST_CASE("fuse_norms: the mean of the centred square is the variance") {
  Sketch s;
  const NodeId mean = s.add("mean", {s.x}, attr::kSpaceAxes);
  const NodeId centred = s.add("sub", {s.x, mean});
  const NodeId squares = s.add("mul", {centred, centred});
  CHECK(s.after({"fuse_norms"}, {s.add("mean", {squares}, attr::kSpaceAxes)}) ==
        Ops{"input", "variance"});
  const NodeId raw = s.add("mean", {s.add("mul", {s.x, s.x})});
  CHECK(s.after({"fuse_norms"}, {raw}) == Ops{"input", "mul", "mean"});
}

TEST_CASE("fuse_attention: exports replace what is not a number after the softmax") {
  Sketch s;
  const NodeId weights = s.add("softmax", {s.add("matmul", {s.x, s.x})}, attr::kLastAxis);
  SUBCASE("by a constant") {
    const NodeId guarded = s.add("where", {weights});
    CHECK(s.after({"fuse_attention"}, {s.add("matmul", {guarded, s.x})}) ==
          Ops{"input", "attention"});
  }
  SUBCASE("not by another value") {
    const NodeId mixed = s.add("where", {weights, s.add("relu", {s.x})});
    CHECK(s.after({"fuse_attention"}, {s.add("matmul", {mixed, s.x})}) ==
          Ops{"input", "matmul", "softmax", "relu", "where", "matmul"});
  }
}

TEST_CASE("fuse_attention: queries may be learnt") {
  Sketch s;
  const NodeId keys = s.add("linear", {s.x});
  const NodeId values = s.add("linear", {s.x});
  const auto pooled = [&](Attr constant) {
    const NodeId scores = s.add("matmul", {keys}, kParam | constant);
    return s.add("matmul", {s.add("softmax", {scores}, attr::kLastAxis), values});
  };
  CHECK(s.after({"fuse_attention"}, {pooled(attr::kConstantFirst)}) ==
        Ops{"input", "linear", "linear", "attention"});
  // The weights on the other side are a projection of the keys, not queries.
  CHECK(s.after({"fuse_attention"}, {pooled(0)}) ==
        Ops{"input", "linear", "matmul", "softmax", "linear", "matmul"});
}

}  // namespace
}  // namespace narfast
