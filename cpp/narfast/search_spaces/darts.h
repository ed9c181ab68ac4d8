// The networks of the DARTS search space (Liu et al., ICLR 2019): a genotype describes a normal
// cell and a reduction cell, for stacking.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "narfast/search_spaces/network_writer.h"

namespace narfast::darts {

enum class Operator : std::int32_t {
  kNone,
  kMaxPool3x3,
  kAvgPool3x3,
  kSkip,
  kSepConv3x3,
  kSepConv5x5,
  kSepConv7x7,
  kDilConv3x3,
  kDilConv5x5,
  kConv7x1_1x7,
};
inline constexpr auto kOperatorNames = std::to_array<std::string_view>(
    {"none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5",
     "sep_conv_7x7", "dil_conv_3x3", "dil_conv_5x5", "conv_7x1_1x7"});

/// One cell. States 0 and 1 are the outputs of the two cells before; step i makes state i + 2, the
/// sum of two operators on earlier states; the cell's output concatenates some of the steps.
struct Cell {
  std::span<const std::int32_t> operators;  // two per step
  std::span<const std::int32_t> sources;    // the state that each reads
  std::span<const std::int32_t> concat;     // states, at least 2
};

struct Genotype {
  Cell normal;
  Cell reduce;
};

/// Genotypes as flat arrays: the normal cell of genotype g is cell 2g, its reduction cell 2g + 1.
struct GenotypeBatchView {
  std::span<const std::int32_t> operators;
  std::span<const std::int32_t> sources;
  std::span<const Offset> edge_ptr;  // of each cell into the two above
  std::span<const std::int32_t> concat;
  std::span<const Offset> concat_ptr;

  [[nodiscard]] std::size_t size() const {
    return edge_ptr.empty() ? 0 : (edge_ptr.size() - 1) / 2;
  }
  [[nodiscard]] Genotype operator[](std::size_t genotype) const {
    return {cell(2 * genotype), cell(2 * genotype + 1)};
  }

 private:
  [[nodiscard]] Cell cell(std::size_t i) const {
    using Rows = CsrView<Offset, std::int32_t>;
    return {Rows{edge_ptr, operators}[i], Rows{edge_ptr, sources}[i], Rows{concat_ptr, concat}[i]};
  }
};

/// kCifar: 20 cells from 36 channels on 32x32; kImageNet: 14 cells from 48 on 224x224.
enum class Variant { kCifar, kImageNet };

/// The network of one genotype, without the auxiliary head for training. Reduction cells stand at
/// one and two thirds. `none` edges and unreachable states are left out; the channels of an
/// unreachable state count in its concatenation. O(nodes). Throws std::invalid_argument for a
/// genotype that is not well formed or passes nothing on.
[[nodiscard]] Network build_network(const Genotype& genotype, Variant variant);

/// The networks of many genotypes. The result does not depend on `num_threads`.
/// Throws std::invalid_argument also for offsets that do not fit the arrays.
[[nodiscard]] NetworkBatch build_networks(const GenotypeBatchView& genotypes, Variant variant,
                                          int num_threads);

}  // namespace narfast::darts
