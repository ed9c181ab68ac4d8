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

TEST_CASE("drop_layout_permutes") {
  Net net;
  net.chain(net.add("permute", {net.input()}, attr::kLayoutPermute), {"layer_norm"});
  CHECK(op_names(after("drop_layout_permutes", net).view()) == Names{"input", "layer_norm"});
  SUBCASE("untouched: other permutations") {
    Net mixer;
    mixer.chain(mixer.input(), {"permute", "linear", "permute"});
    CHECK(leaves_alone("drop_layout_permutes", mixer));
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
    CHECK(leaves_alone("drop_layout_permutes", both));
  }
}

}  // namespace
}  // namespace narfast
