// Operators, cells and the two macro networks of DARTS.
#include "narfast/search_spaces/darts.h"

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace narfast::darts {
namespace {

constexpr int kStemMultiplier = 3;  // of CIFAR's stem

void require(bool ok, const std::string& what) {
  if (!ok) throw std::invalid_argument("not a genotype: " + what);
}

void check_cell(const Cell& cell, const std::string& name) {
  require(!cell.operators.empty() && cell.operators.size() % 2 == 0 &&
              cell.operators.size() == cell.sources.size(),
          "the " + name + " cell needs two edges per step, it has " +
              std::to_string(cell.operators.size()));
  const auto steps = static_cast<std::int32_t>(cell.operators.size() / 2);
  for (std::size_t edge = 0; edge < cell.operators.size(); ++edge) {
    require(cell.operators[edge] >= 0 &&
                cell.operators[edge] < static_cast<std::int32_t>(kOperatorNames.size()),
            "operator number " + std::to_string(cell.operators[edge]) + " is not in the table");
    const auto state = static_cast<std::int32_t>(edge / 2 + 2);
    require(cell.sources[edge] >= 0 && cell.sources[edge] < state,
            "edge " + std::to_string(edge) + " of the " + name + " cell reads state " +
                std::to_string(cell.sources[edge]) + ", it can read states 0 to " +
                std::to_string(state - 1));
  }
  require(!cell.concat.empty(), "the " + name + " cell concatenates nothing");
  for (std::int32_t state : cell.concat)
    require(state >= 2 && state < steps + 2,
            "the " + name + " cell concatenates state " + std::to_string(state) +
                ", its steps are states 2 to " + std::to_string(steps + 1));
}

Feature relu_conv_norm(NetworkWriter& net, Feature x, int channels) {
  return net.batch_norm(net.convolution(net.relu(x), square_convolution(channels, 1)));
}

// Halves the sides by two strided convolutions; each reads the places that the other skips.
Feature factorized_reduce(NetworkWriter& net, Feature x, int channels) {
  const Convolution half = square_convolution(channels / 2, 1, 2);
  x = net.relu(x);
  const Feature even = net.convolution(x, half);
  const Feature odd = net.convolution(net.shifted(x), half);
  return net.batch_norm(net.concat(std::array{even, odd}, channels));
}

Feature depthwise(NetworkWriter& net, Feature x, int kernel, int stride, int dilation) {
  Convolution options = square_convolution(x.channels, kernel, stride);
  options.groups = x.channels;
  options.dilation = dilation;
  x = net.convolution(net.relu(x), options);
  return net.batch_norm(net.convolution(x, square_convolution(x.channels, 1)));
}

Feature separable(NetworkWriter& net, Feature x, int kernel, int stride) {
  return depthwise(net, depthwise(net, x, kernel, stride, 1), kernel, 1, 1);
}

Feature row_then_column(NetworkWriter& net, Feature x, int stride) {
  x = net.convolution(net.relu(x), {x.channels, 1, 7, 1, stride, 1, 1});
  return net.batch_norm(net.convolution(x, {x.channels, 7, 1, stride, 1, 1, 1}));
}

Feature apply(NetworkWriter& net, Operator op, Feature x, int stride) {
  switch (op) {
    case Operator::kMaxPool3x3:
      return net.max_pool_3x3(x, stride);
    case Operator::kAvgPool3x3:
      return net.avg_pool_3x3(x, stride);
    case Operator::kSkip:
      return stride == 1 ? x : factorized_reduce(net, x, x.channels);
    case Operator::kSepConv3x3:
      return separable(net, x, 3, stride);
    case Operator::kSepConv5x5:
      return separable(net, x, 5, stride);
    case Operator::kSepConv7x7:
      return separable(net, x, 7, stride);
    case Operator::kDilConv3x3:
      return depthwise(net, x, 3, stride, 2);
    case Operator::kDilConv5x5:
      return depthwise(net, x, 5, stride, 2);
    case Operator::kConv7x1_1x7:
      return row_then_column(net, x, stride);
    case Operator::kNone:
      break;
  }
  throw std::invalid_argument("no operator");
}

Feature write_cell(NetworkWriter& net, const Cell& cell, bool is_reduction, Feature before,
                   Feature last, int channels) {
  // The cell before the last one may have been followed by a reduction.
  before = before.height > last.height ? factorized_reduce(net, before, channels)
                                       : relu_conv_norm(net, before, channels);
  last = relu_conv_norm(net, last, channels);
  std::vector<std::optional<Feature>> states{before, last};  // the reachable ones
  for (std::size_t edge = 0; edge < cell.operators.size(); edge += 2) {
    std::optional<Feature> sum;
    for (std::size_t i : {edge, edge + 1}) {
      const auto op = static_cast<Operator>(cell.operators[i]);
      const auto source = static_cast<std::size_t>(cell.sources[i]);
      if (op == Operator::kNone || !states[source]) continue;
      const Feature value = apply(net, op, *states[source], is_reduction && source < 2 ? 2 : 1);
      sum = sum ? net.add(*sum, value) : value;
    }
    states.push_back(sum);
  }
  std::vector<Feature> pieces;
  for (std::int32_t state : cell.concat)
    if (const auto& piece = states[static_cast<std::size_t>(state)]) pieces.push_back(*piece);
  require(!pieces.empty(), std::string("nothing but none leads to the output of its ") +
                               (is_reduction ? "reduction" : "normal") + " cell");
  return net.concat(pieces, channels * static_cast<int>(cell.concat.size()));
}

struct Stem {
  Feature before;
  Feature last;
};

Stem write_stem(NetworkWriter& net, Variant variant, int channels) {
  const auto conv_norm = [&](Feature x, int width, int stride) {
    return net.batch_norm(net.convolution(x, square_convolution(width, 3, stride)));
  };
  if (variant == Variant::kCifar) {
    const Feature x = conv_norm(net.input(3, 32), kStemMultiplier * channels, 1);
    return {x, x};
  }
  const Feature half = conv_norm(net.input(3, 224), channels / 2, 2);
  // The second relu of the published stem works in place, so the first cell reads its result. That
  // cell begins with a relu, and gives the same for the value before.
  const Feature quarter = conv_norm(net.relu(half), channels, 2);
  return {quarter, conv_norm(net.relu(quarter), channels, 2)};
}

}  // namespace

Network build_network(const Genotype& genotype, Variant variant) {
  check_cell(genotype.normal, "normal");
  check_cell(genotype.reduce, "reduction");
  const bool cifar = variant == Variant::kCifar;
  const int cells = cifar ? 20 : 14;
  int channels = cifar ? 36 : 48;
  NetworkWriter net;
  auto [before, last] = write_stem(net, variant, channels);
  for (int i = 0; i < cells; ++i) {
    const bool is_reduction = i == cells / 3 || i == 2 * cells / 3;
    if (is_reduction) channels *= 2;
    const Cell& cell = is_reduction ? genotype.reduce : genotype.normal;
    const Feature next = write_cell(net, cell, is_reduction, before, last, channels);
    before = last;
    last = next;
  }
  last = cifar ? net.global_average(last) : net.avg_pool(last, 7);
  return net.finish(net.classifier(net.flatten(last), cifar ? 10 : 1000));
}

NetworkBatch build_networks(const GenotypeBatchView& genotypes, Variant variant, int num_threads) {
  const auto check_offsets = [](std::span<const Offset> ptr, std::size_t size) {
    bool ok = ptr.size() % 2 == 1 && ptr.front() == 0 && ptr.back() == static_cast<Offset>(size);
    for (std::size_t i = 0; ok && i + 1 < ptr.size(); ++i) ok = ptr[i] <= ptr[i + 1];
    require(ok, "offsets must rise from 0 to the length of their array, two cells per genotype");
  };
  check_offsets(genotypes.edge_ptr, genotypes.operators.size());
  check_offsets(genotypes.concat_ptr, genotypes.concat.size());
  require(genotypes.sources.size() == genotypes.operators.size() &&
              genotypes.edge_ptr.size() == genotypes.concat_ptr.size(),
          "arrays differ in length");
  return write_networks(genotypes.size(), num_threads,
                        [&](std::size_t i) { return build_network(genotypes[i], variant); });
}

}  // namespace narfast::darts
