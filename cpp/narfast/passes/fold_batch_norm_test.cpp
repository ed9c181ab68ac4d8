// What the pass does, and what it must not touch.
#include <doctest/doctest.h>

#include "narfast/graph/attributes.h"
#include "narfast/testing/pass_checks.h"

namespace narfast {
namespace {

using testing::after;
using testing::leaves_alone;
using testing::Names;
using testing::Net;
using testing::op_names;
using testing::Sketch;

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
    CHECK(leaves_alone("fold_batch_norm", net));
  }
}

TEST_CASE("fold_batch_norm: a second norm on a value that others read too stays") {
  Sketch s;
  const NodeId conv = s.add("conv", {s.x}, 3);
  const auto branches = [&](NodeId value) {
    return s.add("add", {s.add("relu", {value}), s.add("batch_norm", {value})});
  };
  const Names expected{"input", "conv", "relu", "batch_norm", "add"};
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
    CHECK(s.after({"fold_batch_norm"}, {s.add("linear", {norm})}) == Names{"input", "linear"});
  }
  SUBCASE("not into a convolution, whose padding it would shift") {
    CHECK(s.after({"fold_batch_norm"}, {s.add("conv", {norm})}) ==
          Names{"input", "batch_norm", "conv"});
  }
  SUBCASE("not when others read it") {
    CHECK(s.after({"fold_batch_norm"}, {s.add("linear", {norm}), s.add("relu", {norm})}) ==
          Names{"input", "batch_norm", "linear", "relu"});
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
    CHECK(s.after(all, {s.add("relu", {tokens})}) == Names{"input", "linear", "relu"});
  }
  SUBCASE("as exported") {
    const NodeId tokens = s.add("permute", {conv});
    CHECK(s.after(all, {s.add("relu", {tokens})}) == Names{"input", "linear", "relu"});
  }
  SUBCASE("a permutation of what a linear layer gives stays") {
    const NodeId heads = s.add("permute", {s.add("linear", {s.x})});
    CHECK(s.after(all, {s.add("relu", {heads})}) == Names{"input", "linear", "permute", "relu"});
  }
}

}  // namespace
}  // namespace narfast
