// Layers, points of long edges, orders, coordinates; see layout.h.
#include "narfast/layout/layout.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

namespace narfast {
namespace {

constexpr std::int64_t kPointsPerEdge = 8;
constexpr std::int64_t kOwnPointsPerEdge = 4;  // above it, the edges of a source share points
constexpr int kTighteningRounds = 4;
constexpr int kStarts = 4;
constexpr std::int32_t kManyVertices = 8'000;  // from here on, one start has to do
constexpr int kPatience = 8;                   // sweeps without improvement before stopping
constexpr int kExchangeRounds = 8;             // passes of exchanges after each improving sweep
constexpr std::int64_t kExchangeWork = 256;    // steps of exchanges for each vertex, in all

// A piece of an edge between neighbouring layers. `weight` edges run through it.
struct Segment {
  std::int32_t from;
  std::int32_t to;
  std::int32_t weight;
};

// One end of a segment, as its other end sees it.
struct Neighbor {
  std::int32_t vertex;
  std::int32_t weight;
};

// Crossings of edges sorted by their `from`: the tree sums the weights right of each `to`.
class CrossingCounter {
 public:
  struct Edge {
    std::int32_t from;
    std::int32_t to;
    std::int32_t weight;
  };

  // `edges` in any order; `places` is above every `to`.
  std::int64_t count(std::vector<Edge>& edges, std::int32_t places) {
    std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) {
      return a.from != b.from ? a.from < b.from : a.to < b.to;
    });
    std::size_t leaves = 1;
    while (leaves < index(places)) leaves *= 2;
    tree_.assign(2 * leaves, 0);
    std::int64_t crossings = 0;
    for (const Edge& edge : edges) {
      std::int64_t right = 0;
      std::size_t at = leaves + index(edge.to);
      tree_[at] += edge.weight;
      while (at > 1) {
        if (at % 2 == 0) right += tree_[at + 1];
        at /= 2;
        tree_[at] += edge.weight;
      }
      crossings += right * edge.weight;
    }
    return crossings;
  }

 private:
  std::vector<std::int64_t> tree_;
};

class LayoutBuilder {
 public:
  LayoutBuilder(CsrView<Offset, NodeId> inputs, std::span<const double> widths,
                std::span<const double> heights, const LayoutOptions& options)
      : options_(options),
        size_(static_cast<std::int32_t>(inputs.size())),
        inputs_(unique_inputs(inputs)),
        readers_(transpose(inputs_.view())),
        widths_(widths),
        heights_(heights) {}

  Layout run(CsrView<Offset, NodeId> given) {
    assign_layers();
    tighten();
    add_points();
    order();
    set_x();
    return result(given);
  }

 private:
  static Csr<Offset, NodeId> unique_inputs(CsrView<Offset, NodeId> inputs) {
    Csr<Offset, NodeId> result;
    std::vector<NodeId> row;
    for (std::size_t node = 0; node < inputs.size(); ++node) {
      row.assign(inputs[node].begin(), inputs[node].end());
      std::sort(row.begin(), row.end());
      row.erase(std::unique(row.begin(), row.end()), row.end());
      result.values.insert(result.values.end(), row.begin(), row.end());
      result.end_row();
    }
    return result;
  }

  // Layers.

  void assign_layers() {
    layer_.assign(index(size_), 0);
    for (std::int32_t node = 0; node < size_; ++node)
      for (const NodeId source : inputs_[node])
        layer_[index(node)] = std::max(layer_[index(node)], layer_[index(source)] + 1);
  }

  // Moves a node down as far as its readers allow if that makes its edges shorter in all.
  void tighten() {
    for (int round = 0; round < kTighteningRounds; ++round) {
      bool moved = false;
      for (std::int32_t node = size_ - 1; node >= 0; --node) {
        const auto readers = readers_[node];
        if (readers.empty() || readers.size() <= inputs_[node].size()) continue;
        std::int32_t target = std::numeric_limits<std::int32_t>::max();
        for (const NodeId reader : readers) target = std::min(target, layer_[index(reader)] - 1);
        if (target > layer_[index(node)]) {
          layer_[index(node)] = target;
          moved = true;
        }
      }
      if (!moved) break;
    }
    std::int32_t lowest = std::numeric_limits<std::int32_t>::max();
    for (const std::int32_t layer : layer_) lowest = std::min(lowest, layer);
    for (std::int32_t& layer : layer_) layer -= lowest;
    num_layers_ = size_ == 0 ? 0 : *std::max_element(layer_.begin(), layer_.end()) + 1;
  }

  // Points of long edges.

  // The longest span whose edges still get points.
  std::int32_t longest_routed_span() const {
    std::vector<std::int64_t> sources(index(num_layers_) + 2, 0);  // by their longest span
    for (std::int32_t node = 0; node < size_; ++node) {
      std::int32_t span = 0;
      for (const NodeId reader : readers_[node])
        span = std::max(span, layer_[index(reader)] - layer_[index(node)]);
      ++sources[index(span)];
    }
    for (std::size_t span = index(num_layers_) + 1; span-- > 0;) sources[span] += sources[span + 1];
    const std::int64_t budget =
        kPointsPerEdge * (size_ + static_cast<std::int64_t>(inputs_.values.size()));
    std::int64_t points = 0;
    std::int32_t span = 1;
    while (span < num_layers_ && points + sources[index(span + 1)] <= budget) {
      points += sources[index(span + 1)];
      ++span;
    }
    return span;
  }

  // Whether every edge can have points of its own: that gives the fewest crossings.
  bool few_points() const {
    std::int64_t points = 0;
    for (std::int32_t node = 0; node < size_; ++node)
      for (const NodeId reader : readers_[node]) {
        const std::int32_t span = layer_[index(reader)] - layer_[index(node)];
        if (span <= longest_) points += span - 1;
      }
    return points <= kOwnPointsPerEdge * (size_ + std::ssize(inputs_.values));
  }

  void add_points() {
    longest_ = longest_routed_span();
    const bool own = few_points();
    first_point_.assign(readers_.values.size(), -1);
    origin_.resize(index(size_));
    std::iota(origin_.begin(), origin_.end(), 0);
    for (std::int32_t node = 0; node < size_; ++node) {
      const auto readers = readers_[node];
      const auto edge = index(readers_.ptr[index(node)]);
      if (own) {
        for (std::size_t i = 0; i < readers.size(); ++i)
          first_point_[edge + i] = add_chain(node, readers.subspan(i, 1));
      } else {
        const std::int32_t first = add_chain(node, readers);
        for (std::size_t i = 0; i < readers.size(); ++i) first_point_[edge + i] = first;
      }
    }
    vertices_ = static_cast<std::int32_t>(layer_.size());
    std::stable_sort(segments_.begin(), segments_.end(), [&](const Segment& a, const Segment& b) {
      return layer_[index(a.from)] < layer_[index(b.from)];
    });
    above_ = collect_rows<Offset, Neighbor>(index(vertices_), [&](auto add) {
      for (const Segment& s : segments_) add(s.to, Neighbor{s.from, s.weight});
    });
    below_ = collect_rows<Offset, Neighbor>(index(vertices_), [&](auto add) {
      for (const Segment& s : segments_) add(s.from, Neighbor{s.to, s.weight});
    });
    segment_ptr_.assign(index(num_layers_) + 1, 0);
    for (const Segment& s : segments_) ++segment_ptr_[index(layer_[index(s.from)]) + 1];
    std::partial_sum(segment_ptr_.begin(), segment_ptr_.end(), segment_ptr_.begin());
  }

  // Adds one chain of points from a node towards some of its readers, as far as the furthest, and
  // the segments of all of their edges. Returns the first point.
  std::int32_t add_chain(std::int32_t node, std::span<const NodeId> readers) {
    std::int32_t furthest = 0;
    for (const NodeId reader : readers) {
      const std::int32_t span = layer_[index(reader)] - layer_[index(node)];
      if (span <= longest_) furthest = std::max(furthest, span);
    }
    ends_.assign(index(furthest) + 1, 0);  // how many edges end after so many layers
    std::int32_t running = 0;
    for (const NodeId reader : readers) {
      const std::int32_t span = layer_[index(reader)] - layer_[index(node)];
      if (span > longest_) continue;
      ++ends_[index(span)];
      ++running;
    }
    const auto first = static_cast<std::int32_t>(layer_.size());
    std::int32_t before = node;
    for (std::int32_t span = 1; span < furthest; ++span) {
      running -= ends_[index(span)];
      const auto point = static_cast<std::int32_t>(layer_.size());
      layer_.push_back(layer_[index(node)] + span);
      origin_.push_back(node);
      segments_.push_back({before, point, running});
      before = point;
    }
    for (const NodeId reader : readers) {
      const std::int32_t span = layer_[index(reader)] - layer_[index(node)];
      if (span <= longest_) segments_.push_back({span == 1 ? node : first + span - 2, reader, 1});
    }
    return first;
  }

  // Orders.

  // The points of an edge start beside the node where it begins, so order by origin.
  void start_order() {
    layers_ = group_by<Offset, std::int32_t, std::int32_t>(layer_, index(num_layers_));
    place_.assign(index(vertices_), 0);
    for (std::int32_t layer = 0; layer < num_layers_; ++layer) {
      const std::span<std::int32_t> row = mutable_row(layer);
      std::stable_sort(row.begin(), row.end(), [&](std::int32_t a, std::int32_t b) {
        return origin_[index(a)] < origin_[index(b)];
      });
      number(row);
    }
  }

  std::span<std::int32_t> mutable_row(std::int32_t layer) {
    const auto begin = index(layers_.ptr[index(layer)]);
    const auto end = index(layers_.ptr[index(layer) + 1]);
    return std::span<std::int32_t>(layers_.values).subspan(begin, end - begin);
  }

  void number(std::span<const std::int32_t> row) {
    for (std::size_t i = 0; i < row.size(); ++i)
      place_[index(row[i])] = static_cast<std::int32_t>(i);
  }

  std::int64_t crossings_below(std::int32_t layer) {
    const auto begin = index(segment_ptr_[index(layer)]);
    const auto end = index(segment_ptr_[index(layer) + 1]);
    if (end - begin < 2) return 0;
    edges_.clear();
    for (std::size_t i = begin; i < end; ++i)
      edges_.push_back(
          {place_[index(segments_[i].from)], place_[index(segments_[i].to)], segments_[i].weight});
    return counter_.count(edges_, static_cast<std::int32_t>(layers_[layer + 1].size()));
  }

  std::int64_t all_crossings() {
    std::int64_t sum = 0;
    for (std::int32_t layer = 0; layer + 1 < num_layers_; ++layer) sum += crossings_below(layer);
    return sum;
  }

  // Sorts a layer by the places of neighbours on one side; vertices without any keep their place.
  void sort_layer(std::int32_t layer, const Csr<Offset, Neighbor>& sides, bool median) {
    const std::span<std::int32_t> row = mutable_row(layer);
    if (row.size() < 2) return;
    keys_.clear();
    slots_.clear();
    for (std::size_t i = 0; i < row.size(); ++i) {
      const auto side = sides[row[i]];
      if (side.empty()) continue;
      slots_.push_back(i);
      keys_.push_back({median ? median_of(side) : mean_of(side), row[i]});
    }
    std::stable_sort(keys_.begin(), keys_.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (std::size_t i = 0; i < slots_.size(); ++i) row[slots_[i]] = keys_[i].second;
    number(row);
  }

  double mean_of(std::span<const Neighbor> side) const {
    double sum = 0;
    double weight = 0;
    for (const Neighbor& n : side) {
      sum += static_cast<double>(n.weight) * place_[index(n.vertex)];
      weight += n.weight;
    }
    return sum / weight;
  }

  double median_of(std::span<const Neighbor> side) {
    places_.clear();
    for (const Neighbor& n : side) places_.push_back(place_[index(n.vertex)]);
    std::sort(places_.begin(), places_.end());
    const std::size_t half = places_.size() / 2;
    if (places_.size() % 2 == 1) return places_[half];
    return (places_[half - 1] + places_[half]) / 2.0;
  }

  // Crossings of two neighbours' segments on one side, in their order and exchanged.
  void pair_crossings(std::span<const Neighbor> left, std::span<const Neighbor> right,
                      std::int64_t& kept, std::int64_t& exchanged) const {
    for (const Neighbor& a : left)
      for (const Neighbor& b : right) {
        const std::int64_t both = std::int64_t{a.weight} * b.weight;
        if (place_[index(a.vertex)] > place_[index(b.vertex)]) kept += both;
        if (place_[index(a.vertex)] < place_[index(b.vertex)]) exchanged += both;
      }
  }

  // Exchanges neighbours of a layer where that removes crossings, or with `ties` adds none. Returns
  // whether any crossing was removed.
  bool exchange(bool ties, std::int64_t& work) {
    bool moved = false;
    for (std::int32_t layer = 0; layer < num_layers_; ++layer) {
      const std::span<std::int32_t> row = mutable_row(layer);
      for (std::size_t i = 0; i + 1 < row.size(); ++i) {
        const std::int32_t a = row[i];
        const std::int32_t b = row[i + 1];
        work -= 2 + static_cast<std::int64_t>(above_[a].size() * above_[b].size() +
                                              below_[a].size() * below_[b].size());
        if (work < 0) return moved;
        std::int64_t kept = 0;
        std::int64_t exchanged = 0;
        pair_crossings(above_[a], above_[b], kept, exchanged);
        pair_crossings(below_[a], below_[b], kept, exchanged);
        if (exchanged < kept || (ties && exchanged == kept && kept > 0)) {
          std::swap(row[i], row[i + 1]);
          std::swap(place_[index(a)], place_[index(b)]);
          moved = moved || exchanged < kept;
        }
      }
    }
    return moved;
  }

  // Sweeps from several starts, since each ends in an order of its own; the best one wins.
  void order() {
    start_order();
    crossings_ = all_crossings();
    std::vector<std::int32_t> best = layers_.values;
    const int starts = vertices_ <= kManyVertices ? kStarts : 1;
    for (int start = 0; start < starts && crossings_ > 0; ++start) {
      if (start > 0) start_order();
      if (start % 2 == 1)
        for (std::int32_t layer = 0; layer < num_layers_; ++layer) {
          const std::span<std::int32_t> row = mutable_row(layer);
          std::reverse(row.begin(), row.end());
          number(row);
        }
      sweep(start, best);
    }
    layers_.values = best;
    for (std::int32_t layer = 0; layer < num_layers_; ++layer) number(layers_[layer]);
  }

  void sweep(int start, std::vector<std::int32_t>& best) {
    std::int64_t work = kExchangeWork * (vertices_ + 1024);
    std::int64_t least = start == 0 ? crossings_ : std::numeric_limits<std::int64_t>::max();
    int idle = 0;
    for (int turn = 0; turn < options_.sweeps && crossings_ > 0 && idle < kPatience; ++turn) {
      const bool median = (turn + start) % 4 >= 2;
      if ((turn + start / 2) % 2 == 0)
        for (std::int32_t layer = 1; layer < num_layers_; ++layer)
          sort_layer(layer, above_, median);
      else
        for (std::int32_t layer = num_layers_ - 2; layer >= 0; --layer)
          sort_layer(layer, below_, median);
      const bool ties = turn % 8 < 4;
      for (int round = 0; round < kExchangeRounds && exchange(ties, work); ++round) continue;
      if (ties) exchange(false, work);
      const std::int64_t now = all_crossings();
      ++idle;
      if (now < least) {
        least = now;
        idle = 0;
      }
      if (now < crossings_) {
        crossings_ = now;
        best = layers_.values;
      }
    }
  }

  // Coordinates.

  double half_width(std::int32_t vertex) const {
    return vertex < size_ ? widths_[index(vertex)] / 2 : 0;
  }

  double separation(std::int32_t left, std::int32_t right) const {
    const bool points = left >= size_ && right >= size_;
    return half_width(left) + half_width(right) + options_.node_gap / (points ? 2 : 1);
  }

  bool is_inner(std::int32_t upper, std::int32_t lower) const {
    return upper >= size_ && lower >= size_;
  }

  // Marks segments that cross a piece between two points of long edges: those stay straight.
  void mark_conflicts() {
    conflict_.assign(index(vertices_), {});
    for (std::int32_t layer = 0; layer + 1 < num_layers_; ++layer) {
      const auto lower = layers_[layer + 1];
      std::int32_t left = 0;
      std::size_t scanned = 0;
      for (std::size_t i = 0; i < lower.size(); ++i) {
        const std::int32_t vertex = lower[i];
        std::int32_t inner = -1;
        for (const Neighbor& n : above_[vertex])
          if (is_inner(n.vertex, vertex)) inner = place_[index(n.vertex)];
        if (inner < 0 && i + 1 < lower.size()) continue;
        const auto right = inner >= 0 ? inner : static_cast<std::int32_t>(layers_[layer].size());
        for (; scanned <= i; ++scanned) {
          const std::int32_t other = lower[scanned];
          for (const Neighbor& n : above_[other]) {
            const std::int32_t place = place_[index(n.vertex)];
            if ((place < left || place > right) && !is_inner(n.vertex, other))
              conflict_[index(other)].push_back(n.vertex);
          }
        }
        left = right;
      }
    }
    for (auto& list : conflict_) std::sort(list.begin(), list.end());
  }

  bool in_conflict(std::int32_t upper, std::int32_t lower) const {
    const auto& list = conflict_[index(lower)];
    return std::binary_search(list.begin(), list.end(), upper);
  }

  // Whether a vertex is a node that a node can align with on that side.
  bool has_node(std::int32_t end, const Csr<Offset, Neighbor>& sides) const {
    if (end >= size_) return false;
    const auto side = sides[end];
    return std::any_of(side.begin(), side.end(),
                       [&](const Neighbor& n) { return n.vertex < size_; });
  }

  // The neighbours that a vertex may align with. What runs from node to node should be straight,
  // and long edges pass beside it: nodes come before points, and among several nodes those that a
  // node follows.
  void choose(std::int32_t vertex, const Csr<Offset, Neighbor>& sides) {
    sorted_.clear();
    const auto side = sides[vertex];
    if (vertex < size_) {
      for (const Neighbor& n : side)
        if (has_node(n.vertex, sides)) sorted_.push_back(n.vertex);
      if (sorted_.empty())
        for (const Neighbor& n : side)
          if (n.vertex < size_) sorted_.push_back(n.vertex);
    }
    if (sorted_.empty())
      for (const Neighbor& n : side) sorted_.push_back(n.vertex);
  }

  // One of the four alignments: from above or below, from the left or the right. Vertices that are
  // aligned get the same root.
  void align(bool from_above, bool from_left) {
    std::iota(root_.begin(), root_.end(), 0);
    std::vector<std::int32_t> last(index(vertices_));  // of the chain under each root so far
    std::iota(last.begin(), last.end(), 0);
    aligned_.assign(index(vertices_), 0);
    const Csr<Offset, Neighbor>& sides = from_above ? above_ : below_;
    for (std::int32_t step = 1; step < num_layers_; ++step) {
      const std::int32_t layer = from_above ? step : num_layers_ - 1 - step;
      const auto row = layers_[layer];
      std::int32_t border = -1;  // neighbours up to here are taken, counted from the side we start
      const auto others =
          static_cast<std::int32_t>(layers_[from_above ? layer - 1 : layer + 1].size());
      for (std::size_t i = 0; i < row.size(); ++i) {
        const std::int32_t vertex = from_left ? row[i] : row[row.size() - 1 - i];
        sorted_.clear();
        choose(vertex, sides);
        if (sorted_.empty()) continue;
        if (vertex >= size_ && has_node(sorted_.front(), from_above ? below_ : above_)) continue;
        std::sort(sorted_.begin(), sorted_.end(), [&](std::int32_t a, std::int32_t b) {
          return place_[index(a)] < place_[index(b)];
        });
        const std::size_t low = (sorted_.size() - 1) / 2;
        const std::size_t high = sorted_.size() / 2;
        for (int turn = 0; turn < 2; ++turn) {
          const std::int32_t other = sorted_[(turn == 0) == from_left ? low : high];
          const std::int32_t place =
              from_left ? place_[index(other)] : others - 1 - place_[index(other)];
          const bool conflict =
              from_above ? in_conflict(other, vertex) : in_conflict(vertex, other);
          if (aligned_[index(vertex)] == 0 && !conflict && place > border) {
            root_[index(vertex)] = root_[index(other)];
            aligned_[index(vertex)] = 1;
            border = place;
          }
        }
      }
    }
  }

  // Places chains of aligned vertices as far left as they go, then moves each right where that
  // brings it nearer to its neighbours.
  void compact(std::vector<double>& x) {
    // Chains as nodes of a graph, with an edge from each to its right neighbours.
    chain_edges_.clear();
    for (std::int32_t layer = 0; layer < num_layers_; ++layer) {
      const auto row = layers_[layer];
      for (std::size_t i = 0; i + 1 < row.size(); ++i)
        chain_edges_.push_back(
            {root_[index(row[i])], root_[index(row[i + 1])], separation(row[i], row[i + 1])});
    }
    const auto rows = collect_rows<Offset, std::int32_t>(index(vertices_), [&](auto add) {
      for (std::size_t e = 0; e < chain_edges_.size(); ++e)
        add(chain_edges_[e].left, static_cast<std::int32_t>(e));
    });
    std::vector<std::int32_t> missing(index(vertices_), 0);
    for (const ChainEdge& e : chain_edges_) ++missing[index(e.right)];
    std::vector<std::int32_t> queue;
    for (std::int32_t v = 0; v < vertices_; ++v)
      if (root_[index(v)] == v && missing[index(v)] == 0) queue.push_back(v);
    std::vector<double> at(index(vertices_), 0);
    for (std::size_t i = 0; i < queue.size(); ++i)
      for (const std::int32_t e : rows[queue[i]]) {
        const ChainEdge& edge = chain_edges_[index(e)];
        at[index(edge.right)] =
            std::max(at[index(edge.right)], at[index(edge.left)] + edge.distance);
        if (--missing[index(edge.right)] == 0) queue.push_back(edge.right);
      }
    for (std::size_t i = queue.size(); i-- > 0;) {
      double limit = std::numeric_limits<double>::infinity();
      for (const std::int32_t e : rows[queue[i]]) {
        const ChainEdge& edge = chain_edges_[index(e)];
        limit = std::min(limit, at[index(edge.right)] - edge.distance);
      }
      if (limit < std::numeric_limits<double>::infinity()) at[index(queue[i])] = limit;
    }
    for (std::int32_t v = 0; v < vertices_; ++v) x[index(v)] = at[index(root_[index(v)])];
  }

  // As `compact`, from the right: mirrored places and signs.
  void compact_from_right(std::vector<double>& x) {
    for (std::int32_t layer = 0; layer < num_layers_; ++layer) {
      const std::span<std::int32_t> row = mutable_row(layer);
      std::reverse(row.begin(), row.end());
    }
    compact(x);
    for (double& value : x) value = -value;
    for (std::int32_t layer = 0; layer < num_layers_; ++layer) {
      const std::span<std::int32_t> row = mutable_row(layer);
      std::reverse(row.begin(), row.end());
    }
  }

  void set_x() {
    x_.assign(index(vertices_), 0);
    if (vertices_ == 0) return;
    mark_conflicts();
    root_.assign(index(vertices_), 0);
    std::vector<std::vector<double>> candidates(4, std::vector<double>(index(vertices_)));
    std::vector<std::pair<double, double>> extents(4);
    std::size_t narrowest = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const bool from_left = i % 2 == 0;
      align(i < 2, from_left);
      from_left ? compact(candidates[i]) : compact_from_right(candidates[i]);
      double low = std::numeric_limits<double>::infinity();
      double high = -low;
      for (std::int32_t v = 0; v < vertices_; ++v) {
        low = std::min(low, candidates[i][index(v)] - half_width(v));
        high = std::max(high, candidates[i][index(v)] + half_width(v));
      }
      extents[i] = {low, high};
      if (high - low < extents[narrowest].second - extents[narrowest].first) narrowest = i;
    }
    for (std::size_t i = 0; i < 4; ++i) {
      const double shift = i % 2 == 0 ? extents[narrowest].first - extents[i].first
                                      : extents[narrowest].second - extents[i].second;
      for (double& value : candidates[i]) value += shift;
    }
    double low = std::numeric_limits<double>::infinity();
    for (std::int32_t v = 0; v < vertices_; ++v) {
      std::array<double, 4> four{};
      for (std::size_t i = 0; i < 4; ++i) four[i] = candidates[i][index(v)];
      std::sort(four.begin(), four.end());
      x_[index(v)] = (four[1] + four[2]) / 2;
      low = std::min(low, x_[index(v)] - half_width(v));
    }
    for (double& value : x_) value -= low;
  }

  Layout result(CsrView<Offset, NodeId> given) const {
    Layout out;
    out.crossings = crossings_;
    std::vector<double> tallest(index(num_layers_), 0);
    for (std::int32_t node = 0; node < size_; ++node)
      tallest[index(layer_[index(node)])] =
          std::max(tallest[index(layer_[index(node)])], heights_[index(node)]);
    std::vector<double> middle(index(num_layers_));
    double top = 0;
    for (std::size_t layer = 0; layer < middle.size(); ++layer) {
      middle[layer] = top + tallest[layer] / 2;
      top += tallest[layer] + options_.layer_gap;
    }
    out.height = num_layers_ == 0 ? 0 : top - options_.layer_gap;
    out.layer.assign(layer_.begin(), layer_.begin() + size_);
    out.x.assign(x_.begin(), x_.begin() + size_);
    out.y.reserve(index(size_));
    std::vector<std::int32_t> ranks(index(num_layers_), 0);
    out.place.assign(index(size_), 0);
    for (const std::int32_t vertex : layers_.values)
      if (vertex < size_) out.place[index(vertex)] = ranks[index(layer_[index(vertex)])]++;
    for (std::int32_t v = 0; v < vertices_; ++v)
      out.width = std::max(out.width, x_[index(v)] + half_width(v));
    for (std::int32_t node = 0; node < size_; ++node)
      out.y.push_back(middle[index(layer_[index(node)])]);
    for (std::int32_t node = 0; node < size_; ++node)
      for (const NodeId source : given[node]) {
        const std::int32_t span = layer_[index(node)] - layer_[index(source)];
        out.bridge.push_back(span > longest_ ? 1 : 0);
        const auto readers = readers_[source];
        const auto edge =
            index(readers_.ptr[index(source)]) +
            index(std::lower_bound(readers.begin(), readers.end(), node) - readers.begin());
        for (std::int32_t i = 0; span <= longest_ && i + 1 < span; ++i) {
          const std::int32_t point = first_point_[edge] + i;
          out.route_x.push_back(x_[index(point)]);
          out.route_y.push_back(middle[index(layer_[index(point)])]);
        }
        out.route_ptr.push_back(static_cast<Offset>(out.route_x.size()));
      }
    return out;
  }

  struct ChainEdge {
    std::int32_t left;
    std::int32_t right;
    double distance;
  };

  LayoutOptions options_;
  std::int32_t size_;
  Csr<Offset, NodeId> inputs_;
  Csr<Offset, NodeId> readers_;
  std::span<const double> widths_;
  std::span<const double> heights_;

  std::vector<std::int32_t> layer_;  // of nodes, then of points
  std::int32_t num_layers_ = 0;
  std::int32_t vertices_ = 0;  // nodes and points
  std::int32_t longest_ = 0;
  std::vector<std::int32_t> first_point_;  // per edge, in the order of `readers_`
  std::vector<std::int32_t> ends_;
  std::vector<std::int32_t> origin_;  // per vertex: the node whose edges pass it
  std::vector<Segment> segments_;     // by layer
  std::vector<std::int64_t> segment_ptr_;
  Csr<Offset, Neighbor> above_;
  Csr<Offset, Neighbor> below_;

  Csr<Offset, std::int32_t> layers_;  // the vertices of each layer, in order
  std::vector<std::int32_t> place_;
  std::int64_t crossings_ = 0;
  CrossingCounter counter_;
  std::vector<CrossingCounter::Edge> edges_;
  std::vector<std::pair<double, std::int32_t>> keys_;
  std::vector<std::size_t> slots_;
  std::vector<std::int32_t> places_;

  std::vector<std::vector<std::int32_t>> conflict_;
  std::vector<std::int32_t> root_;
  std::vector<std::uint8_t> aligned_;
  std::vector<std::int32_t> sorted_;
  std::vector<ChainEdge> chain_edges_;
  std::vector<double> x_;
};

void check_sizes(std::span<const double> sizes, std::size_t count, const char* what) {
  if (sizes.size() != count)
    throw std::invalid_argument(std::string(what) + " must have one entry per node, got " +
                                std::to_string(sizes.size()) + " for " + std::to_string(count) +
                                " nodes");
  for (const double size : sizes)
    if (!(size >= 0) || !std::isfinite(size))
      throw std::invalid_argument(std::string(what) + " must be finite and not below zero");
}

}  // namespace

Layout layered_layout(CsrView<Offset, NodeId> inputs, std::span<const double> widths,
                      std::span<const double> heights, const LayoutOptions& options) {
  check_sizes(widths, inputs.size(), "widths");
  check_sizes(heights, inputs.size(), "heights");
  for (std::size_t node = 0; node < inputs.size(); ++node)
    for (const NodeId source : inputs[node])
      if (source < 0 || index(source) >= node)
        throw InvalidGraph("node " + std::to_string(node) + " reads node " +
                           std::to_string(source) +
                           ", which does not stand before it; number nodes topologically");
  return LayoutBuilder(inputs, widths, heights, options).run(inputs);
}

std::int64_t count_crossings(std::span<const std::int32_t> from, std::span<const std::int32_t> to,
                             std::span<const std::int32_t> weight) {
  if (from.size() != to.size() || from.size() != weight.size())
    throw std::invalid_argument("from, to and weight must be equally long");
  std::vector<CrossingCounter::Edge> edges;
  edges.reserve(from.size());
  std::int32_t places = 0;
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (from[i] < 0 || to[i] < 0) throw std::invalid_argument("places must not be below zero");
    edges.push_back({from[i], to[i], weight[i]});
    places = std::max(places, to[i] + 1);
  }
  return CrossingCounter().count(edges, places);
}

}  // namespace narfast
