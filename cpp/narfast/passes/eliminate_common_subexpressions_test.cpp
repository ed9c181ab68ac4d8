// What the pass does, and what it must not touch.
#include <doctest/doctest.h>

#include "narfast/testing/pass_checks.h"

namespace narfast {
namespace {

using testing::Names;
using testing::Sketch;

TEST_CASE("eliminate_common_subexpressions: equal poolings and activations of one value") {
  Sketch s;
  SUBCASE("merged") {
    const NodeId sum = s.add("add", {s.add("max_pool", {s.x}, 3), s.add("max_pool", {s.x}, 3)});
    CHECK(s.after({"eliminate_common_subexpressions"}, {sum}) == Names{"input", "max_pool", "add"});
  }
  SUBCASE("not with other attributes") {
    const NodeId sum = s.add("add", {s.add("max_pool", {s.x}, 3), s.add("max_pool", {s.x}, 2)});
    CHECK(s.after({"eliminate_common_subexpressions"}, {sum}) ==
          Names{"input", "max_pool", "max_pool", "add"});
  }
  SUBCASE("not operators with weights of their own") {
    const NodeId sum = s.add("add", {s.add("prelu", {s.x}), s.add("prelu", {s.x})});
    CHECK(s.after({"eliminate_common_subexpressions"}, {sum}) ==
          Names{"input", "prelu", "prelu", "add"});
    const NodeId convs = s.add("add", {s.add("conv", {s.x}), s.add("conv", {s.x})});
    CHECK(s.after({"eliminate_common_subexpressions"}, {convs}) ==
          Names{"input", "conv", "conv", "add"});
  }
}

}  // namespace
}  // namespace narfast
