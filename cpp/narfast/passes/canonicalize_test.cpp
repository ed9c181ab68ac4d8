// Names of passes, and the fixed point. What each pass does is tested beside it.
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

constexpr Attr kVector = attr::kConstantClass.pack(1);

TEST_CASE("passes have unique names, found by name in any order") {
  std::set<std::string_view> names;
  PassMask all = 0;
  for (const Pass& pass : canonicalization_passes()) {
    CHECK(names.insert(pass.name).second);
    all |= pass_mask({pass.name});
  }
  CHECK(pass_mask({names.begin(), names.end()}) == all);
  CHECK(all == all_passes());
  CHECK(pass_mask({}) == 0);
  CHECK_THROWS_WITH_AS((void)pass_mask({"fold_everything"}),
                       doctest::Contains("eliminate_identity"), std::invalid_argument);
}

TEST_CASE("former names of passes are accepted, and are no names any more") {
  const std::vector<std::pair<std::string_view, std::string_view>> renamed{
      {"drop_transparent", "eliminate_identity"},
      {"absorb_padding", "fuse_pad"},
      {"merge_twins", "eliminate_common_subexpressions"},
      {"fuse_parts", "fuse_split_concat"},
      {"drop_end_ratios", "drop_stem_and_head_widths"}};
  for (const auto& [former, current] : renamed) {
    CHECK(pass_mask({former}) == pass_mask({current}));
    for (const Pass& pass : canonicalization_passes()) CHECK(pass.name != former);
  }
}

// Two equal branches that join at the end. Each round merges one more pair of activations, and then
// one more pair of slices.
Net parallel_branches(int length) {
  Net net;
  NodeId left = net.input(), right = left;
  for (int i = 0; i < length; ++i) {
    left = net.chain(left, {"relu", "slice"});
    right = net.chain(right, {"relu", "slice"});
  }
  net.add("add", {left, right});
  return net;
}

TEST_CASE("a fixed point that is not reached is an error") {
  const PassMask passes = pass_mask({"merge_slices", "eliminate_common_subexpressions"});
  const Graph settled = canonicalize(parallel_branches(20).view(), passes);
  CHECK(settled.op.size() == 2 * 20 + 2);
  CHECK(canonicalize(settled.view(), passes) == settled);
  CHECK_THROWS_WITH_AS((void)canonicalize(parallel_branches(40).view(), passes),
                       "canonicalization still changes the graph after 32 rounds; choose fewer "
                       "passes, or report the network",
                       NotSettled);
  const std::vector<Graph> graphs{parallel_branches(3).graph(), parallel_branches(40).graph()};
  const GraphBatch batch = concatenate(graphs);
  CHECK_THROWS_WITH_AS((void)canonicalize(batch.view(), {}, passes, 2),
                       doctest::Contains("graph 1: canonicalization"), NotSettled);
}

TEST_CASE("without passes only the head count, which few formats know, is cleared") {
  Net net;
  net.add("conv", {net.input()}, pack_attributes({.kernel = 3, .heads = 12}));
  CHECK(canonicalize(net.view(), 0).attr[1] == pack_attributes({.kernel = 3}));
}

TEST_CASE("canonical graphs are fixed points") {
  // Operators and attributes with meaning for passes, joined at random.
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
  const PassMask all = all_passes();
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
  CHECK(canonicalize(batch.view(), {}, all, 1).graphs ==
        canonicalize(batch.view(), {}, all, 3).graphs);
}

}  // namespace
}  // namespace narfast
