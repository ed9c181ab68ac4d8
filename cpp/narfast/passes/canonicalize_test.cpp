// One test of what each pass does, one of what it must not touch. Fusing passes have files of their
// own (fuse_*_test.cpp).
#include "narfast/passes/canonicalize.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>
#include <stdexcept>

#include "narfast/graph/attributes.h"
#include "narfast/testing/test_graphs.h"

namespace narfast {
namespace {

using testing::Names;
using testing::Net;
using testing::op_names;

constexpr Attr kVector = 1u << attr::kConstantClassShift;

Graph after(std::string_view pass, const Net& net) {
  return canonicalize(net.view(), pass_mask({pass}));
}

void check_untouched(std::string_view pass, const Net& net) {
  CHECK(after(pass, net) == net.graph());
}

TEST_CASE("passes have unique names, found by name in any order") {
  std::set<std::string_view> names;
  PassMask all = 0;
  for (const Pass& pass : canonicalization_passes()) {
    CHECK(names.insert(pass.name).second);
    all |= pass_mask({pass.name});
  }
  CHECK(pass_mask({names.begin(), names.end()}) == all);
  CHECK(pass_mask({}) == 0);
  CHECK_THROWS_WITH_AS(pass_mask({"fold_everything"}), doctest::Contains("drop_transparent"),
                       std::invalid_argument);
}

TEST_CASE("without passes only the head count, which few formats know, is cleared") {
  Net net;
  net.add("conv", {net.input()}, pack_attributes({.kernel = 3, .heads = 12}));
  CHECK(canonicalize(net.view(), 0).attr[1] == pack_attributes({.kernel = 3}));
}

TEST_CASE("fold_parameters") {
  SUBCASE("an operand computed from constants becomes an attribute") {
    Net net;
    const NodeId x = net.input();
    const NodeId table = net.chain(net.add("constant", {}), {"sin"});
    net.add("add", {x, table});
    const Graph graph = after("fold_parameters", net);
    CHECK(op_names(graph.view()) == Names{"input", "add"});
    CHECK(graph.attr[1] == attr::kParamOperand);
  }
  SUBCASE("the side of the constant counts where arguments are not alike") {
    for (const std::string_view op : {"sub", "mul"}) {
      Net net;
      const NodeId constant = net.add("constant", {});
      net.add(op, {constant, net.input()});
      CHECK(((after("fold_parameters", net).attr[1] & attr::kConstantFirst) != 0) == (op == "sub"));
    }
  }
  SUBCASE("weights of a convolution are implied") {
    Net net;
    const NodeId weights = net.chain(net.add("constant", {}), {"sub"});
    net.add("conv", {net.input(), weights}, 3);
    const Graph graph = after("fold_parameters", net);
    CHECK(op_names(graph.view()) == Names{"input", "conv"});
    CHECK(graph.attr[1] == 3);
  }
  SUBCASE("untouched: an embedding is a source") {
    Net net;
    net.add("add", {net.add("embedding", {}), net.input()});
    check_untouched("fold_parameters", net);
  }
  SUBCASE("untouched: without any source, what has no input is one") {
    Net net;
    net.chain(net.add("constant", {}), {"relu"});
    check_untouched("fold_parameters", net);
  }
}

TEST_CASE("drop_transparent") {
  SUBCASE("layout and training-time operators go") {
    Net net;
    net.chain(net.input(), {"identity", "conv", "dropout", "reshape", "cast", "relu", "squeeze"});
    CHECK(op_names(after("drop_transparent", net).view()) == Names{"input", "conv", "relu"});
  }
  SUBCASE("a concatenation of one value goes") {
    Net net;
    net.chain(net.input(), {"concat", "relu"});
    CHECK(op_names(after("drop_transparent", net).view()) == Names{"input", "relu"});
  }
  SUBCASE("untouched: permutations, and concatenation with a class token") {
    Net net;
    net.add("concat", {net.chain(net.input(), {"permute", "pad"})}, attr::kParamOperand);
    check_untouched("drop_transparent", net);
  }
}

TEST_CASE("drop_layout_permutes") {
  Net net;
  net.chain(net.add("permute", {net.input()}, attr::kLayoutPermute), {"layer_norm"});
  CHECK(op_names(after("drop_layout_permutes", net).view()) == Names{"input", "layer_norm"});
  SUBCASE("untouched: other permutations") {
    Net mixer;
    mixer.chain(mixer.input(), {"permute", "linear", "permute"});
    check_untouched("drop_layout_permutes", mixer);
  }
  SUBCASE("from maps to tokens and back") {
    Net tokens;
    const NodeId map = tokens.chain(tokens.input(), {"conv", "permute", "layer_norm"});
    tokens.chain(map, {"permute", "max_pool"});
    CHECK(op_names(after("drop_layout_permutes", tokens).view()) ==
          Names{"input", "conv", "layer_norm", "max_pool"});
  }
  SUBCASE("untouched: read by a map operator and by another") {
    Net both;
    const NodeId moved = both.add("permute", {both.add("layer_norm", {both.input()})});
    both.add("conv", {moved});
    both.add("linear", {moved});
    check_untouched("drop_layout_permutes", both);
  }
}

TEST_CASE("merge_slices") {
  SUBCASE("slices of one value become one split") {
    Net net;
    const NodeId qkv = net.add("linear", {net.input()});
    net.add("attention",
            {net.add("slice", {qkv}), net.add("slice", {qkv}), net.add("split", {qkv})});
    const Graph graph = after("merge_slices", net);
    CHECK(op_names(graph.view()) == Names{"input", "linear", "split", "attention"});
    CHECK(graph.view().inputs(3).size() == 3);
  }
  SUBCASE("untouched: a lone slice, and slices of different values") {
    Net net;
    const NodeId x = net.input();
    net.add("add", {net.add("slice", {x}), net.add("slice", {net.add("relu", {x})})});
    check_untouched("merge_slices", net);
  }
}

TEST_CASE("fuse_linear") {
  SUBCASE("product with a weight matrix, then a bias") {
    Net net;
    const NodeId product = net.add("matmul", {net.input()}, attr::kParamOperand);
    net.add("add", {product}, attr::kParamOperand | kVector);
    const Graph graph = after("fuse_linear", net);
    CHECK(op_names(graph.view()) == Names{"input", "linear"});
    CHECK(graph.attr[1] == 0);
  }
  SUBCASE("untouched: product of two values, weights from the left") {
    Net net;
    const NodeId x = net.input();
    net.add("matmul", {net.add("matmul", {x, x})}, attr::kParamOperand | attr::kConstantFirst);
    check_untouched("fuse_linear", net);
  }
  SUBCASE("untouched: a position table, a bias of a value that others read") {
    Net net;
    const NodeId tokens = net.add("linear", {net.input()});
    net.add("add", {tokens}, attr::kParamOperand);
    const NodeId shared = net.add("linear", {tokens});
    net.add("sub", {net.add("add", {shared}, attr::kParamOperand | kVector), shared});
    // The bit that tells a vector is not compared afterwards; nodes and edges are as they were.
    const Graph graph = after("fuse_linear", net);
    CHECK(op_names(graph.view()) == op_names(net.view()));
    CHECK(graph.in_src == net.graph().in_src);
  }
}

TEST_CASE("fold_batch_norm") {
  SUBCASE("into the convolution before it") {
    Net net;
    net.chain(net.input(), {"conv", "batch_norm", "relu"});
    CHECK(op_names(after("fold_batch_norm", net).view()) == Names{"input", "conv", "relu"});
  }
  SUBCASE("untouched: before the convolution, or when others read the raw value") {
    Net net;
    const NodeId conv = net.chain(net.input(), {"batch_norm", "conv"});
    net.add("sub", {net.add("batch_norm", {conv}), conv});
    check_untouched("fold_batch_norm", net);
  }
}

TEST_CASE("absorb_padding") {
  SUBCASE("into convolution and pooling") {
    Net net;
    net.chain(net.input(), {"pad", "conv", "pad", "max_pool"});
    CHECK(op_names(after("absorb_padding", net).view()) == Names{"input", "conv", "max_pool"});
  }
  SUBCASE("the padded value stays for its other readers") {
    Net net;
    const NodeId padded = net.add("pad", {net.input()});
    net.add("sub", {net.add("conv", {padded}), padded});
    const Graph graph = after("absorb_padding", net);
    CHECK(op_names(graph.view()) == Names{"input", "conv", "pad", "sub"});
    CHECK(graph.view().inputs(1).front() == 0);
  }
  SUBCASE("untouched: padding of tokens or windows") {
    Net net;
    net.chain(net.input(), {"pad", "linear", "pad", "attention"});
    check_untouched("absorb_padding", net);
  }
}

TEST_CASE("global_pool") {
  SUBCASE("mean and maximum over all of space") {
    Net net;
    const NodeId x = net.input();
    net.add("sub", {net.add("mean", {x}, attr::kSpaceAxes), net.add("max", {x}, attr::kSpaceAxes)});
    net.add("adaptive_avg_pool", {x}, attr::kSpaceAxes | 2);
    const Graph graph = after("global_pool", net);
    CHECK(op_names(graph.view()) ==
          Names{"input", "global_avg_pool", "global_max_pool", "sub", "global_avg_pool"});
    CHECK(graph.attr == std::vector<Attr>(5, 0));
  }
  SUBCASE("mean over one axis, then over the other") {
    Net net;
    net.add("mean", {net.add("mean", {net.add("conv", {net.input()})})}, attr::kLastAxis);
    CHECK(op_names(after("global_pool", net).view()) == Names{"input", "conv", "global_avg_pool"});
  }
  SUBCASE("untouched: over channels, over a grid, sums") {
    Net net;
    const NodeId x = net.input();
    net.add("mean", {x}, attr::kLastAxis);
    net.add("adaptive_avg_pool", {x});
    net.add("sum", {x}, attr::kSpaceAxes);
    check_untouched("global_pool", net);
  }
}

TEST_CASE("pointwise_to_linear") {
  const Attributes pointwise{.kernel = 1, .groups = 1, .in_channels = 64, .out_channels = 256};
  SUBCASE("keeps the channel ratio alone") {
    Net net;
    net.add("conv", {net.input()}, pack_attributes(pointwise) | 2u << 14);
    const Graph graph = after("pointwise_to_linear", net);
    CHECK(op_names(graph.view()) == Names{"input", "linear"});
    CHECK(graph.attr[1] == pack_attributes({.in_channels = 64, .out_channels = 256}));
  }
  SUBCASE("untouched: strided, grouped, larger") {
    for (Attributes other : {Attributes{.kernel = 1, .stride = 2, .groups = 1},
                             Attributes{.kernel = 1, .groups = 8, .in_channels = 64},
                             Attributes{.kernel = 3, .groups = 1}}) {
      Net net;
      net.add("conv", {net.input()}, pack_attributes(other));
      check_untouched("pointwise_to_linear", net);
    }
  }
}

TEST_CASE("drop_concat_ratio") {
  const Attr ratio = pack_attributes({.in_channels = 96, .out_channels = 32});
  SUBCASE("of layers that read a concatenation, or what will be concatenated") {
    Net net;
    const NodeId x = net.input();
    const NodeId y = net.add("conv", {x}, ratio | 3);
    const NodeId both = net.add("concat", {x, y});
    net.add("conv", {net.chain(both, {"batch_norm", "relu"})}, ratio | 3);
    const Graph graph = after("drop_concat_ratio", net);
    CHECK(graph.attr == std::vector<Attr>{0, 3, 0, 0, 0, 3});
  }
  SUBCASE("untouched: layers elsewhere") {
    Net net;
    net.add("add", {net.add("conv", {net.input()}, ratio), net.add("linear", {0}, ratio)});
    check_untouched("drop_concat_ratio", net);
  }
}

TEST_CASE("drop_end_ratios") {
  const Attr ratio = pack_attributes({.in_channels = 96, .out_channels = 32});
  Net net;
  const NodeId stem = net.add("conv", {net.input()}, ratio | 3);
  const NodeId middle = net.add("linear", {net.chain(stem, {"relu"})}, ratio);
  net.add("linear", {net.chain(middle, {"relu"})}, ratio);
  CHECK(after("drop_end_ratios", net).attr == std::vector<Attr>{0, 3, 0, ratio, 0, 0});
}

TEST_CASE("drop_scalar_scale") {
  SUBCASE("products, quotients and sums with a number go") {
    Net net;
    NodeId x = net.add("relu", {net.input()});
    for (std::string_view op : {"mul", "div", "add", "sub"})
      x = net.add(op, {x}, attr::kScalarOperand);
    net.add("tanh", {x});
    CHECK(op_names(after("drop_scalar_scale", net).view()) == Names{"input", "relu", "tanh"});
  }
  SUBCASE("untouched: one over x, a learnt scale, one minus x") {
    Net net;
    NodeId x = net.input();
    x = net.add("div", {x}, attr::kScalarOperand | attr::kConstantFirst);
    x = net.add("mul", {x}, attr::kParamOperand);
    net.add("sub", {x}, attr::kScalarOperand | attr::kConstantFirst);
    check_untouched("drop_scalar_scale", net);
  }
}

TEST_CASE("canonical graphs are fixed points") {
  // Operators and attributes that passes look at, joined at random.
  const Names ops{"conv",   "linear",    "batch_norm", "add",   "mul",      "div",
                  "sub",    "sigmoid",   "split",      "slice", "permute",  "softmax",
                  "matmul", "attention", "mean",       "pow",   "sqrt",     "layer_norm",
                  "pad",    "relu6",     "concat",     "tanh",  "identity", "constant"};
  const std::vector<Attr> bits{attr::kKernelOne | attr::kGroupsDense,
                               attr::kParamOperand,
                               attr::kScalarOperand,
                               attr::kSpaceAxes,
                               attr::kLayoutPermute,
                               kVector};
  PassMask all = 0;
  for (const Pass& pass : canonicalization_passes()) all |= pass_mask({pass.name});
  std::mt19937 random(11);
  const auto pick = [&](std::size_t count) { return random() % count; };
  std::vector<Graph> graphs;
  for (int trial = 0; trial < 2000; ++trial) {
    Net net;
    net.input();
    for (std::size_t node = 1; node < 20; ++node) {
      std::vector<NodeId> inputs;
      for (std::size_t arity = 1 + pick(4) / 2; arity > 0; --arity)
        inputs.push_back(static_cast<NodeId>(node - 1 - pick(std::min<std::size_t>(node, 4))));
      net.add(ops[pick(ops.size())], inputs, pick(2) ? bits[pick(bits.size())] : 0);
    }
    const Graph once = canonicalize(net.view(), all);
    CHECK(canonicalize(once.view(), all) == once);
    graphs.push_back(net.graph());
  }
  const GraphBatch batch = concatenate(graphs);
  CHECK(canonicalize(batch.view(), all, 1) == canonicalize(batch.view(), all, 3));
}

}  // namespace
}  // namespace narfast
