// The cells and networks of NAS-Bench-101 (Ying et al., ICML 2019): a cell is a graph of at most
// seven vertices and nine edges with one of three operators on each inner vertex; the network
// repeats it three times in each of three stacks.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "narfast/search_spaces/network_writer.h"

namespace narfast::nasbench101 {

enum class Operator : std::uint8_t { kConv3x3, kConv1x1, kMaxPool3x3 };
inline constexpr auto kOperatorNames =
    std::to_array<std::string_view>({"conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"});

inline constexpr int kMaxVertices = 7;
inline constexpr int kMaxEdges = 9;

/// A cell as one number: a million cells are one array. Numbers ascend in the order of the
/// benchmark: by vertices, then edges, then operators.
///   bits 31-33: number of vertices; bits 10-30: an edge x -> y at bit x + y(y-1)/2;
///   bits 0-9: two per inner vertex, the first the most significant.
using Cell = std::uint64_t;

/// The parts of a cell.
struct CellParts {
  int vertices = 0;
  std::uint32_t edges = 0;
  std::uint32_t operators = 0;

  [[nodiscard]] bool has_edge(int source, int target) const {
    return (edges >> (source + target * (target - 1) / 2) & 1u) != 0;
  }
  [[nodiscard]] Operator operator_at(int vertex) const {
    return static_cast<Operator>(operators >> (2 * (vertices - 2 - vertex)) & 3u);
  }
};

/// Takes a cell apart. Throws std::invalid_argument unless it is one of the space: every vertex on
/// a path from the first to the last, at most nine edges, known operators, no other bits.
[[nodiscard]] CellParts cell_parts(Cell cell);

/// One cell of every class of isomorphic cells, ascending: 423,624. It is the first of its class in
/// the enumeration of the benchmark; this decides where uneven channels go. About a second.
[[nodiscard]] std::vector<Cell> all_cells();

/// The network of one cell, for images of 32x32 and ten classes. O(nodes).
[[nodiscard]] Network build_network(Cell cell);

/// The first module of the network alone: 128 channels to 128 channels.
[[nodiscard]] Network build_module(Cell cell);

/// The networks (or the modules) of many cells. The result does not depend on `num_threads`.
[[nodiscard]] NetworkBatch build_networks(std::span<const Cell> cells, bool whole, int num_threads);

}  // namespace narfast::nasbench101
