// Cells with one operator, states that nothing reaches, and genotypes that are none.
#include "narfast/search_spaces/darts.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <stdexcept>

#include "narfast/testing/test_graphs.h"

namespace narfast::darts {
namespace {

using testing::Names;
using testing::op_names;
using Numbers = std::vector<std::int32_t>;

struct Cell {
  std::vector<Operator> operators;
  Numbers sources;
  Numbers concat;
};

Network build_network(const Cell& normal, const Cell& reduce, Variant variant = Variant::kCifar) {
  const auto numbers = [](const Cell& cell) {
    Numbers result;
    for (Operator op : cell.operators) result.push_back(static_cast<std::int32_t>(op));
    return result;
  };
  const Numbers first = numbers(normal), second = numbers(reduce);
  return build_network(
      {{first, normal.sources, normal.concat}, {second, reduce.sources, reduce.concat}}, variant);
}

std::ptrdiff_t count(const Network& net, std::string_view op) {
  const Names names = op_names(net.graph.view());
  return std::count(names.begin(), names.end(), op);
}

const Cell kPools{{Operator::kMaxPool3x3, Operator::kAvgPool3x3}, {0, 1}, {2}};

TEST_CASE("20 cells for CIFAR, 14 for ImageNet, two of them reductions") {
  const Network cifar = build_network(kPools, kPools);
  CHECK(count(cifar, "max_pool") == 20);
  CHECK(count(cifar, "concat") == 20 + 2);  // two cells factorize what came before a reduction
  const Network imagenet = build_network(kPools, kPools, Variant::kImageNet);
  CHECK(count(imagenet, "max_pool") == 14);
  CHECK(count(imagenet, "avg_pool") == 14);
  CHECK(count(imagenet, "global_avg_pool") == 1);
  CHECK(count(imagenet, "concat") == 14 + 3);  // and the first, whose inputs differ in size
}

TEST_CASE("none leaves a state out, and what reads it") {
  using enum Operator;
  const Cell with_none{{kMaxPool3x3, kAvgPool3x3, kNone, kNone, kMaxPool3x3, kSepConv3x3},
                       {0, 1, 0, 1, 2, 3},
                       {2, 3, 4}};
  const Network net = build_network(with_none, kPools);
  CHECK(count(net, "add") == 18 + 2);
  CHECK(count(net, "max_pool") == 2 * 18 + 2);
}

TEST_CASE("genotypes that are not well formed are refused") {
  using enum Operator;
  for (const Cell& bad : {Cell{},                                                 // no steps
                          Cell{{kSkip}, {0}, {2}},                                // half a step
                          Cell{{kSkip, kSkip}, {0}, {2}},                         // no source
                          Cell{{kSkip, kSkip}, {0, 2}, {2}},                      // reads itself
                          Cell{{kSkip, kSkip}, {-1, 0}, {2}},                     //
                          Cell{{kSkip, static_cast<Operator>(10)}, {0, 1}, {2}},  //
                          Cell{{kSkip, kSkip}, {0, 1}, {}},                       // no output
                          Cell{{kSkip, kSkip}, {0, 1}, {1}}, Cell{{kSkip, kSkip}, {0, 1}, {3}},  //
                          Cell{{kNone, kNone}, {0, 1}, {2}}}) {  // all none
    CHECK_THROWS_AS(build_network(bad, kPools), std::invalid_argument);
    CHECK_THROWS_AS(build_network(kPools, bad), std::invalid_argument);
  }
}

TEST_CASE("offsets that do not fit are refused") {
  const Numbers operators{3, 3, 3, 3}, sources{0, 1, 0, 1}, concat{2, 2};
  const auto run = [&](const std::vector<Offset>& edges, const std::vector<Offset>& joined) {
    return build_networks({operators, sources, edges, concat, joined}, Variant::kCifar, 1);
  };
  CHECK(run({0, 2, 4}, {0, 1, 2}).params.size() == 1);
  for (const std::vector<Offset>& bad :
       {std::vector<Offset>{}, {0, 4}, {0, 2, 5}, {1, 2, 4}, {0, 5, 4}})
    CHECK_THROWS_AS(run(bad, {0, 1, 2}), std::invalid_argument);
  CHECK_THROWS_AS(run({0, 2, 4}, {0, 2}), std::invalid_argument);
}

}  // namespace
}  // namespace narfast::darts
