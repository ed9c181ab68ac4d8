// Enumeration of NAS-Bench-101's cells up to isomorphism, and their networks.
#include "narfast/search_spaces/nasbench101.h"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>

namespace narfast::nasbench101 {
namespace {

constexpr int kStacks = 3, kModules = 3, kChannels = 128, kSide = 32, kClasses = 10;
using Places = std::array<int, kMaxVertices>;

int edge_bit(int source, int target) { return source + target * (target - 1) / 2; }
int edge_slots(int vertices) { return vertices * (vertices - 1) / 2; }

Cell pack(const CellParts& cell) {
  return static_cast<Cell>(cell.vertices) << 31 | static_cast<Cell>(cell.edges) << 10 |
         cell.operators;
}

bool every_vertex_on_a_path(const CellParts& cell) {
  std::uint32_t forward = 1u, backward = 1u << (cell.vertices - 1);
  for (int target = 1; target < cell.vertices; ++target)
    for (int source = 0; source < target; ++source)
      if (cell.has_edge(source, target) && (forward >> source & 1u)) forward |= 1u << target;
  for (int source = cell.vertices - 2; source >= 0; --source)
    for (int target = source + 1; target < cell.vertices; ++target)
      if (cell.has_edge(source, target) && (backward >> target & 1u)) backward |= 1u << source;
  return std::popcount(forward & backward) == cell.vertices;
}

bool is_admissible(const CellParts& cell) {
  return std::popcount(cell.edges) <= kMaxEdges && every_vertex_on_a_path(cell);
}

// The edges with every vertex moved to its place, or nothing if an edge would go backwards.
std::optional<std::uint32_t> moved_edges(const CellParts& cell, const Places& place) {
  std::uint32_t moved = 0;
  for (std::size_t target = 1; target < static_cast<std::size_t>(cell.vertices); ++target)
    for (std::size_t source = 0; source < target; ++source) {
      if (!cell.has_edge(static_cast<int>(source), static_cast<int>(target))) continue;
      if (place[source] > place[target]) return std::nullopt;
      moved |= 1u << edge_bit(place[source], place[target]);
    }
  return moved;
}

std::uint32_t moved_operators(const CellParts& cell, const Places& place) {
  std::uint32_t moved = 0;
  for (int vertex = 1; vertex < cell.vertices - 1; ++vertex) {
    const int to = place[static_cast<std::size_t>(vertex)];
    moved |= static_cast<std::uint32_t>(cell.operator_at(vertex)) << (2 * (cell.vertices - 2 - to));
  }
  return moved;
}

// The renumberings of inner vertices that keep the edges. Nothing if a renumbering makes the edges
// a smaller number: then the cell is not the first of its class.
std::optional<std::vector<Places>> automorphisms(const CellParts& cell) {
  std::vector<Places> found;
  Places place{};
  std::iota(place.begin(), place.end(), 0);
  do {
    const std::optional<std::uint32_t> moved = moved_edges(cell, place);
    if (moved && *moved < cell.edges) return std::nullopt;
    if (moved == cell.edges) found.push_back(place);
  } while (std::next_permutation(place.begin() + 1, place.begin() + cell.vertices - 1));
  return found;
}

// The next choice of operators, each of three, or false after the last.
bool next_operators(CellParts& cell) {
  for (int shift = 0; shift < 2 * (cell.vertices - 2); shift += 2) {
    if ((cell.operators >> shift & 3u) < 2u) {
      cell.operators += 1u << shift;
      return true;
    }
    cell.operators &= ~(3u << shift);
  }
  return false;
}

// Channels of every vertex. The vertices before the output share its channels; a remainder goes to
// the first of them, one each. Every other vertex is as wide as its widest reader.
std::array<int, kMaxVertices> vertex_channels(const CellParts& cell, int in, int out) {
  std::array<int, kMaxVertices> channels{in};
  const int last = cell.vertices - 1;
  const auto at = [&](int vertex) -> int& { return channels[static_cast<std::size_t>(vertex)]; };
  at(last) = out;
  int fan_in = 0;
  for (int vertex = 1; vertex < last; ++vertex) fan_in += cell.has_edge(vertex, last);
  if (fan_in == 0) return channels;
  int remainder = out % fan_in;
  for (int vertex = 1; vertex < last; ++vertex)
    if (cell.has_edge(vertex, last)) at(vertex) = out / fan_in + (remainder-- > 0);
  for (int vertex = last - 1; vertex > 0; --vertex)
    if (!cell.has_edge(vertex, last))
      for (int reader = vertex + 1; reader < last; ++reader)
        if (cell.has_edge(vertex, reader)) at(vertex) = std::max(at(vertex), at(reader));
  return channels;
}

Feature conv_norm_relu(NetworkWriter& net, Feature x, int channels, int kernel) {
  return net.relu(net.batch_norm(net.convolution(x, square_convolution(channels, kernel))));
}

Feature write_module(NetworkWriter& net, const CellParts& cell, Feature x, int out) {
  const auto channels = vertex_channels(cell, x.channels, out);
  const int last = cell.vertices - 1;
  std::array<Feature, kMaxVertices> vertex{x};
  std::vector<Feature> pieces;
  const auto project = [&](int width) { return conv_norm_relu(net, x, width, 1); };
  for (int target = 1; target < last; ++target) {
    const int width = channels[static_cast<std::size_t>(target)];
    std::optional<Feature> sum;
    const auto take = [&](Feature value) { sum = sum ? net.add(*sum, value) : value; };
    for (int source = 1; source < target; ++source) {
      if (!cell.has_edge(source, target)) continue;
      const Feature value = vertex[static_cast<std::size_t>(source)];
      take(value.channels == width ? value : net.first_channels(value, width));
    }
    if (cell.has_edge(0, target)) take(project(width));
    const Operator op = cell.operator_at(target);
    const Feature value = op == Operator::kMaxPool3x3
                              ? net.max_pool_3x3(*sum, 1)
                              : conv_norm_relu(net, *sum, width, op == Operator::kConv3x3 ? 3 : 1);
    vertex[static_cast<std::size_t>(target)] = value;
    if (cell.has_edge(target, last)) pieces.push_back(value);
  }
  if (pieces.empty()) return project(out);
  const Feature joined = pieces.size() == 1 ? pieces.front() : net.concat(pieces, out);
  return cell.has_edge(0, last) ? net.add(joined, project(out)) : joined;
}

}  // namespace

CellParts cell_parts(Cell cell) {
  const CellParts parts{static_cast<int>(cell >> 31 & 7u),
                        static_cast<std::uint32_t>(cell >> 10 & 0x1fffffu),
                        static_cast<std::uint32_t>(cell & 0x3ffu)};
  bool ok = cell >> 34 == 0 && parts.vertices >= 2 &&
            parts.edges >> edge_slots(parts.vertices) == 0 &&
            parts.operators >> (2 * (parts.vertices - 2)) == 0 && is_admissible(parts);
  for (int vertex = 1; ok && vertex < parts.vertices - 1; ++vertex)
    ok = parts.operator_at(vertex) <= Operator::kMaxPool3x3;
  if (!ok)
    throw std::invalid_argument(
        std::to_string(cell) +
        " is not a cell of NAS-Bench-101: at most 7 vertices, all on a path "
        "from input to output, at most 9 edges, 3 operators");
  return parts;
}

std::vector<Cell> all_cells() {
  std::vector<Cell> cells;
  for (int vertices = 2; vertices <= kMaxVertices; ++vertices)
    for (std::uint32_t edges = 1; edges < 1u << edge_slots(vertices); ++edges) {
      CellParts cell{vertices, edges, 0};
      if (!is_admissible(cell)) continue;
      const auto symmetries = automorphisms(cell);
      if (!symmetries) continue;
      do {
        const bool first = std::none_of(
            symmetries->begin(), symmetries->end(),
            [&](const Places& place) { return moved_operators(cell, place) < cell.operators; });
        if (first) cells.push_back(pack(cell));
      } while (next_operators(cell));
    }
  return cells;
}

Network build_network(Cell cell) {
  const CellParts parts = cell_parts(cell);
  NetworkWriter net;
  int channels = kChannels;
  Feature x = conv_norm_relu(net, net.input(3, kSide), channels, 3);
  for (int stack = 0; stack < kStacks; ++stack) {
    if (stack > 0) {
      x = net.max_pool(x, 2);
      channels *= 2;
    }
    for (int module = 0; module < kModules; ++module) x = write_module(net, parts, x, channels);
  }
  // The benchmark averages over space without keeping its axes: nothing is flattened.
  return net.finish(net.classifier(net.global_average(x), kClasses));
}

Network build_module(Cell cell) {
  const CellParts parts = cell_parts(cell);
  NetworkWriter net;
  return net.finish(write_module(net, parts, net.input(kChannels, kSide), kChannels));
}

NetworkBatch build_networks(std::span<const Cell> cells, bool whole, int num_threads) {
  return write_networks(cells.size(), num_threads, [&](std::size_t i) {
    return whole ? build_network(cells[i]) : build_module(cells[i]);
  });
}

}  // namespace narfast::nasbench101
