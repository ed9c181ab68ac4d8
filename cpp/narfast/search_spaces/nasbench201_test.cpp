// Cells of one operator, cells of none, and numbers out of range.
#include "narfast/search_spaces/nasbench201.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <stdexcept>

#include "narfast/testing/test_graphs.h"

namespace narfast::nasbench201 {
namespace {

using testing::Names;
using testing::op_names;

std::ptrdiff_t count(int cell, std::string_view op) {
  const Network network = build_network(cell);
  const Names names = op_names(network.graph.view());
  return std::count(names.begin(), names.end(), op);
}

// Digits of base 5 for edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3.
int cell(std::initializer_list<Operator> operators) {
  int number = 0;
  for (Operator op : operators) number = 5 * number + static_cast<int>(op);
  return number;
}

TEST_CASE("operators of a cell appear fifteen times, beside stem, reductions and classifier") {
  using enum Operator;
  const int pooled = cell({kNone, kNone, kNone, kAvgPool3x3, kNone, kNone});
  CHECK(count(pooled, "avg_pool") == 15 + 2);
  CHECK(count(pooled, "conv") == 1 + 2 * 3);
  CHECK(count(pooled, "add") == 2);
  const int full = cell({kConv3x3, kConv3x3, kConv3x3, kConv3x3, kConv3x3, kConv3x3});
  CHECK(count(full, "conv") == 6 * 15 + 1 + 2 * 3);
  CHECK(count(full, "add") == 3 * 15 + 2);
  CHECK(build_network(full).params == 1'531'546);
}

TEST_CASE("edges from nodes that nothing reaches are left out") {
  using enum Operator;
  CHECK(build_network(cell({kNone, kNone, kConv3x3, kConv1x1, kConv3x3, kAvgPool3x3})) ==
        build_network(cell({kNone, kNone, kNone, kConv1x1, kNone, kNone})));
}

TEST_CASE("a cell that passes nothing on is its input times zero") {
  CHECK(count(0, "mul") == 15);
  CHECK(count(0, "add") == 2);
}

TEST_CASE("numbers out of range are refused") {
  CHECK_THROWS_AS(build_network(-1), std::invalid_argument);
  CHECK_THROWS_AS(build_network(kCells), std::invalid_argument);
  const std::vector<std::int32_t> cells{0, kCells};
  CHECK_THROWS_AS(build_networks(cells, 2), std::invalid_argument);
}

}  // namespace
}  // namespace narfast::nasbench201
