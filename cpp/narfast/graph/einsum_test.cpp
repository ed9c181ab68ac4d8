#include "narfast/graph/einsum.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

namespace narfast {
namespace {

using Kind = EinsumStep::Kind;
using Steps = std::vector<EinsumStep>;

using Shape = std::vector<std::int64_t>;

TEST_CASE("einsum_steps: queries and keys of several heads") {
  const std::vector<Shape> operands{Shape{2, 5, 4, 8}, Shape{2, 6, 4, 8}};
  CHECK(einsum_steps("bihd, bjhd -> bhij", operands) ==
        Steps{{Kind::kPermute, 0, -1, {0, 2, 1, 4, 3}},
              {Kind::kPermute, 1, -1, {0, 2, 4, 1, 3}},
              {Kind::kPermute, 2, -1, {0, 1, 2, 4, 3}},
              {Kind::kPermute, 3, -1, {0, 1, 4, 3, 2}},
              {Kind::kMatmul, 4, 5, {}},
              {Kind::kPermute, 6, -1, {0, 1, 2, 4, 3}}});
}

TEST_CASE("einsum_steps: one operand, outer products, an ellipsis, no arrow") {
  const std::vector<Shape> one{Shape{2, 5, 4}};
  const auto summed = einsum_steps("abc->a", one);
  REQUIRE(summed);
  CHECK(summed->back() == EinsumStep{Kind::kSum, 1, -1, {1, 2}});
  const std::vector<Shape> two{Shape{3}, Shape{4}};
  CHECK(einsum_steps("i,j->ij", two)->back().kind == Kind::kMul);
  const std::vector<Shape> batched{Shape{7, 2, 3}, Shape{3, 4}};
  const auto last = [](const auto& steps) { return (*steps)[steps->size() - 2]; };
  CHECK(last(einsum_steps("...ij,jk->...ik", batched)).kind == Kind::kMatmul);
  const std::vector<Shape> plain{Shape{2, 3}, Shape{3, 4}};
  CHECK(einsum_steps("ij,jk", plain) == einsum_steps("ij,jk->ik", plain));
}

TEST_CASE("einsum_steps: three operands are multiplied in order, sums as early as they can be") {
  const std::vector<Shape> three{Shape{2, 3}, Shape{3, 4}, Shape{4, 5}};
  const auto steps = einsum_steps("ij,jk,kl->il", three);
  REQUIRE(steps);
  const auto products = std::count_if(steps->begin(), steps->end(), [](const EinsumStep& step) {
    return step.kind == Kind::kMatmul;
  });
  CHECK(products == 2);
  CHECK(steps->back().kind == Kind::kPermute);
}

TEST_CASE("einsum_steps: a label twice in one operand, axes of length one") {
  const std::vector<Shape> square{Shape{3, 3}};
  CHECK(einsum_steps("ii->i", square)->size() == 1);
  const std::vector<Shape> ones{Shape{1, 3}, Shape{3, 1}};
  CHECK(einsum_steps("ij,jk->ik", ones));
}

TEST_CASE("einsum_steps: what does not fit is left alone") {
  const std::vector<Shape> pair{Shape{2, 3}, Shape{3, 4}};
  for (const char* equation : {"", "->", "ij->ij", "ijk,jk->ik", "ij,jk->iz", "ij,jk->ii", "i,...j",
                               "12,21->11", "i\x01,jk->ik", "ij-jk"})
    CHECK_FALSE(einsum_steps(equation, pair));
  const std::vector<Shape> unknown{Shape{-1, 3}, Shape{3, -1}};
  CHECK(einsum_steps("ij,jk->ik", unknown) == einsum_steps("ij,jk->ik", pair));
  CHECK_FALSE(einsum_steps(std::string(2000, 'i'), pair));
  CHECK_FALSE(einsum_steps("ij", {}));
}

}  // namespace
}  // namespace narfast
