// What the pass does, and what it must not touch.
#include <doctest/doctest.h>

#include "narfast/graph/attributes.h"
#include "narfast/testing/pass_checks.h"

namespace narfast {
namespace {

using testing::after;
using testing::Names;
using testing::Sketch;

constexpr Attr kParam = attr::kParamOperand;

TEST_CASE("fuse_affine: a learnt scale, then a learnt shift") {
  Sketch s;
  const NodeId scaled = s.add("mul", {s.x}, kParam);
  const NodeId shifted = s.add("add", {scaled}, kParam);
  SUBCASE("fused") { CHECK(s.after({"fuse_affine"}, {shifted}) == Names{"input", "affine"}); }
  SUBCASE("not when the scaled value has another reader") {
    const NodeId other = s.add("relu", {scaled});
    CHECK(s.after({"fuse_affine"}, {shifted, other}) == Names{"input", "mul", "add", "relu"});
  }
  SUBCASE("not a residual after a layer scale") {
    const NodeId residual = s.add("add", {s.x, scaled});
    CHECK(s.after({"fuse_affine"}, {residual}) == Names{"input", "mul", "add"});
  }
  SUBCASE("not numbers") {
    const NodeId number = s.add("add", {scaled}, attr::kScalarOperand);
    CHECK(s.after({"fuse_affine"}, {number}) == Names{"input", "mul", "add"});
  }
}

}  // namespace
}  // namespace narfast
