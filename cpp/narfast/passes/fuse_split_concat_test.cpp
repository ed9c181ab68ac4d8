// What the pass does, and what it must not touch.
#include <doctest/doctest.h>

#include "narfast/graph/attributes.h"
#include "narfast/testing/pass_checks.h"

namespace narfast {
namespace {

using testing::Names;
using testing::Sketch;

TEST_CASE("fuse_split_concat: parts of one value, put together again") {
  Sketch s;
  const NodeId parts = s.add("split", {s.x});
  const NodeId rolled = s.add("concat", {parts, parts});
  SUBCASE("along one axis") {
    CHECK(s.after({"fuse_split_concat"}, {rolled}) == Names{"input", "roll"});
  }
  SUBCASE("along two axes it is still one") {
    const NodeId again = s.add("split", {rolled});
    const NodeId both = s.add("concat", {again, again});
    CHECK(s.after({"fuse_split_concat"}, {both}) == Names{"input", "roll"});
  }
  SUBCASE("not when one part was changed") {
    const NodeId changed = s.add("concat", {parts, s.add("relu", {parts})});
    CHECK(s.after({"fuse_split_concat"}, {changed}) == Names{"input", "split", "relu", "concat"});
  }
  SUBCASE("four parts of parts are moved from space to channels") {
    const NodeId quarters = s.add("slice", {parts});
    const NodeId four = s.add("concat", {quarters, quarters, quarters, quarters});
    CHECK(s.after({"fuse_split_concat"}, {four}) == Names{"input", "permute"});
  }
  SUBCASE("not beside a learnt part") {
    const NodeId token = s.add("concat", {parts, parts}, attr::kParamOperand);
    CHECK(s.after({"fuse_split_concat"}, {token}) == Names{"input", "split", "concat"});
  }
}

}  // namespace
}  // namespace narfast
