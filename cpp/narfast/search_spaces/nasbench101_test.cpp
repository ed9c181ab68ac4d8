// The enumeration, cells that are none, and networks small enough to spell out.
#include "narfast/search_spaces/nasbench101.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "narfast/testing/test_graphs.h"

namespace narfast::nasbench101 {
namespace {

using testing::Names;
using testing::op_names;

Cell cell(std::uint64_t vertices, std::uint64_t edges, std::uint64_t operators) {
  return vertices << 31 | edges << 10 | operators;
}

TEST_CASE("there are 423,624 cells up to isomorphism") {
  const std::vector<Cell> cells = all_cells();
  CHECK(cells.size() == 423'624);
  CHECK(std::is_sorted(cells.begin(), cells.end()));
  std::array<int, 8> by_vertices{};
  for (Cell c : cells) ++by_vertices[static_cast<std::size_t>(cell_parts(c).vertices)];
  CHECK(by_vertices == std::array<int, 8>{0, 0, 1, 6, 84, 2441, 62010, 359082});
}

TEST_CASE("numbers that are no cell are refused") {
  CHECK_NOTHROW((void)cell_parts(cell(3, 0b101, 0)));  // input -> conv -> output
  for (Cell bad :
       {Cell{0}, cell(1, 0, 0), cell(3, 0b101, 0) | Cell{1} << 34,
        cell(3, 0b1101, 0),                    // an edge of a fourth vertex
        cell(3, 0b101, 3), cell(3, 0b101, 4),  // a fourth operator, a second inner vertex
        cell(3, 0b001, 0), cell(3, 0b010, 0),  // vertices that are on no path
        cell(7, 0b111111111111111111111, 0)})  // 21 edges
    CHECK_THROWS_AS((void)cell_parts(bad), std::invalid_argument);
}

TEST_CASE("the module of input and output alone is a projection") {
  const Network module = build_module(cell(2, 1, 0));
  CHECK(op_names(module.graph.view()) == Names{"input", "conv", "batch_norm", "relu"});
  CHECK(module.params == 128 * 128 + 2 * 128);
}

TEST_CASE("uneven channels: the first of three takes one more, readers cut it off") {
  // input -> 1; 1 -> 2, 3; 1, 2, 3 -> output: 43, 43 and 42 channels.
  const std::uint64_t edges = 0b0001 | 0b0100 | 0b010000 | 0b1110000000;
  const Network module = build_module(cell(5, edges, 0b101010));  // max-pooling everywhere
  CHECK(op_names(module.graph.view()) == Names{"input", "conv", "batch_norm", "relu", "max_pool",
                                               "max_pool", "slice", "max_pool", "concat"});
}

TEST_CASE("a network repeats its module nine times and is the same on every run and thread") {
  const std::vector<Cell> cells{cell(2, 1, 0), cell(3, 0b101, 0), cell(3, 0b111, 2)};
  const NetworkBatch one = build_networks(cells, true, 1);
  const NetworkBatch three = build_networks(cells, true, 3);
  CHECK(one.graphs == three.graphs);
  CHECK(one.flops == three.flops);
  const Names names = op_names(one.graphs.view()[0]);
  CHECK(std::count(names.begin(), names.end(), "conv") == 10);
  CHECK(std::count(names.begin(), names.end(), "max_pool") == 2);
  validate(one.graphs.view());
}

}  // namespace
}  // namespace narfast::nasbench101
