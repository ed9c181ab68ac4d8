// Stem, cells, residual reductions and classifier of NAS-Bench-201.
#include "narfast/search_spaces/nasbench201.h"

#include <array>
#include <optional>
#include <stdexcept>
#include <string>

namespace narfast::nasbench201 {
namespace {

constexpr int kStages = 3, kCellsPerStage = 5, kChannels = 16, kSide = 32, kClasses = 10;
using Operators = std::array<Operator, kEdges>;

Operators operators_of(int cell) {
  if (cell < 0 || cell >= kCells)
    throw std::invalid_argument("cell " + std::to_string(cell) + " is not one of NAS-Bench-201's " +
                                std::to_string(kCells) + ", numbered from 0");
  Operators operators;
  for (auto it = operators.rbegin(); it != operators.rend(); ++it, cell /= 5)
    *it = static_cast<Operator>(cell % 5);
  return operators;
}

Feature relu_conv_norm(NetworkWriter& net, Feature x, int channels, int kernel, int stride = 1) {
  return net.batch_norm(net.convolution(net.relu(x), square_convolution(channels, kernel, stride)));
}

Feature apply(NetworkWriter& net, Operator op, Feature x) {
  switch (op) {
    case Operator::kConv1x1:
      return relu_conv_norm(net, x, x.channels, 1);
    case Operator::kConv3x3:
      return relu_conv_norm(net, x, x.channels, 3);
    case Operator::kAvgPool3x3:
      return net.avg_pool_3x3(x, 1);
    default:
      return x;
  }
}

Feature write_cell(NetworkWriter& net, const Operators& operators, Feature x) {
  std::array<std::optional<Feature>, 4> nodes{x};  // the reachable ones
  std::size_t edge = 0;
  for (std::size_t target = 1; target < nodes.size(); ++target)
    for (std::size_t source = 0; source < target; ++source) {
      const Operator op = operators[edge++];
      if (op == Operator::kNone || !nodes[source]) continue;
      const Feature value = apply(net, op, *nodes[source]);
      nodes[target] = nodes[target] ? net.add(*nodes[target], value) : value;
    }
  return nodes.back() ? *nodes.back() : net.times_zero(x);
}

Feature reduce(NetworkWriter& net, Feature x) {
  const int channels = 2 * x.channels;
  const Feature block = relu_conv_norm(net, relu_conv_norm(net, x, channels, 3, 2), channels, 3);
  return net.add(net.convolution(net.avg_pool(x, 2), square_convolution(channels, 1)), block);
}

}  // namespace

Network build_network(int cell) {
  const Operators operators = operators_of(cell);
  NetworkWriter net;
  Feature x =
      net.batch_norm(net.convolution(net.input(3, kSide), square_convolution(kChannels, 3)));
  for (int stage = 0; stage < kStages; ++stage) {
    if (stage > 0) x = reduce(net, x);
    for (int repeat = 0; repeat < kCellsPerStage; ++repeat) x = write_cell(net, operators, x);
  }
  x = net.global_average(net.relu(net.batch_norm(x)));
  return net.finish(net.classifier(net.flatten(x), kClasses));
}

NetworkBatch build_networks(std::span<const std::int32_t> cells, int num_threads) {
  return write_networks(cells.size(), num_threads,
                        [&](std::size_t i) { return build_network(cells[i]); });
}

}  // namespace narfast::nasbench201
