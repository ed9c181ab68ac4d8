// Seeds, growth by a queue, and moves of single nodes. Labels are in labels.h.
#include "narfast/align/align.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <queue>
#include <span>
#include <tuple>
#include <utility>

#include "narfast/align/labels.h"
#include "narfast/graph/operators.h"

namespace narfast {
namespace {

using align_detail::importance;
using align_detail::kFan;
using align_detail::kLevels;
using align_detail::LabelGroups;
using align_detail::Side;

constexpr NodeId kNone = -1;
constexpr NodeId kBarred = -2;  // a node that stays alone

constexpr int kAlike = -1;         // two operators of a kind
constexpr int kUnlike = -2;        // nothing in common
constexpr std::size_t kEqual = 8;  // nodes of one label that are matched in their order
constexpr std::size_t kWalk = 12;  // nodes of a walk through what was put in
constexpr int kMoves = 4;          // sweeps that move single nodes
constexpr std::size_t kHub = 256;  // neighbours of a node that are looked at one by one

// Whether one operator may take the place of another: relu of gelu, but not add of mul.
bool are_alike(OpId a, OpId b) {
  const auto kind = [](OpId op) {
    const Category category = operator_table()[op].category;
    return category == Category::kConvolution ? Category::kLinear : category;
  };
  if (a == b) return true;
  switch (kind(a)) {
    case Category::kElementwise:
    case Category::kReduction:
    case Category::kLayout:
    case Category::kIndexing:
    case Category::kOther:
      return false;
    default:
      return kind(a) == kind(b);
  }
}

class Aligner {
 public:
  Aligner(const GraphView& a, const GraphView& b, Parts parts) : a_(a), b_(b), parts_(parts) {
    to_b_.assign(index(a_.nodes), kNone);
    to_a_.assign(index(b_.nodes), kNone);
    const auto bar = [](std::span<const std::int32_t> part, std::vector<NodeId>& partner) {
      for (std::size_t node = 0; node < part.size(); ++node)
        if (part[node] < 0) partner[node] = kBarred;
    };
    bar(parts.of_a, to_b_);
    bar(parts.of_b, to_a_);
  }

  Alignment run() {
    if (!parts_.of_a.empty()) match_all(true);
    match_all(false);
    for (int sweep = 0; sweep < kMoves; ++sweep) move_nodes(sweep % 2 == 0);
    drop_strays();
    for (auto* partner : {&to_b_, &to_a_})
      std::replace(partner->begin(), partner->end(), kBarred, kNone);
    const Offset kept = count_kept_edges();
    return {std::move(to_b_), std::move(to_a_), kept};
  }

 private:
  void match_all(bool within_parts) {
    within_parts_ = within_parts;
    a_.set_labels(within_parts ? parts_.of_a : std::span<const std::int32_t>{});
    b_.set_labels(within_parts ? parts_.of_b : std::span<const std::int32_t>{});
    bridged_ = 0;
    open_a_.resize(index(a_.nodes));
    open_b_.resize(index(b_.nodes));
    std::iota(open_a_.begin(), open_a_.end(), 0);
    std::iota(open_b_.begin(), open_b_.end(), 0);
    for (int level = kLevels - 1; level >= 2; --level) match_equal(level, 1, true);
    for (int level = kLevels - 1; level >= 1; --level) match_equal(level, kEqual, true);
    for (int level = kLevels - 1; level >= 2; --level) match_equal(level, 1, false);
    match_ends();
    for (int level = 1; level >= 0; --level) match_equal(level, 1, true);
    bridge_gaps();
    grow(kAlike);
    for (int level = kLevels - 1; level >= 0; --level) match_in_order(level);
  }

  struct Candidate {
    int level;
    int votes;
    std::int64_t turn;  // earlier candidates first
    NodeId a;
    NodeId b;

    bool operator<(const Candidate& other) const {
      return std::tie(level, votes, other.turn) < std::tie(other.level, other.votes, turn);
    }
  };

  // The highest level at which two nodes agree.
  [[nodiscard]] int agreement(NodeId a, NodeId b) const {
    if (within_parts_ && !same_part(a, b)) return kUnlike;
    if (a_.label(a, 0) != b_.label(b, 0))
      return are_alike(a_.graph.op[index(a)], b_.graph.op[index(b)]) ? kAlike : kUnlike;
    int level = 0;
    while (level + 1 < kLevels && a_.label(a, level + 1) == b_.label(b, level + 1)) ++level;
    return level;
  }

  [[nodiscard]] bool same_part(NodeId a, NodeId b) const {
    return parts_.of_a.empty() || parts_.of_a[index(a)] == parts_.of_b[index(b)];
  }

  // Inputs of `a` that are matched to inputs of `b`, and readers likewise.
  [[nodiscard]] int kept_inputs(NodeId a, NodeId b) const {
    return b == kNone ? 0 : kept<false>(a, b, a_.graph.inputs(a), b_.graph.inputs(b));
  }
  [[nodiscard]] int kept_readers(NodeId a, NodeId b) const {
    return b == kNone ? 0 : kept<true>(a, b, a_.readers[a], b_.readers[b]);
  }
  [[nodiscard]] int kept_edges(NodeId a, NodeId b) const {
    return kept_inputs(a, b) + kept_readers(a, b);
  }

  // The shorter list is walked, and of a hub at most kHub neighbours.
  template <bool readers>
  [[nodiscard]] int kept(NodeId a, NodeId b, std::span<const NodeId> of_a,
                         std::span<const NodeId> of_b) const {
    const auto reads = [](const Side& side, NodeId node, NodeId other) {
      return readers ? side.reads(other, node) : side.reads(node, other);
    };
    int count = 0;
    if (of_a.size() <= of_b.size() || of_a.size() <= kFan) {
      for (const NodeId node : of_a.first(std::min(of_a.size(), kHub))) {
        const NodeId image = to_b_[index(node)];
        count += image >= 0 && reads(b_, b, image) ? 1 : 0;
      }
      return count;
    }
    for (const NodeId node : of_b.first(std::min(of_b.size(), kHub))) {
      const NodeId image = to_a_[index(node)];
      count += image >= 0 && reads(a_, a, image) ? 1 : 0;
    }
    return count;
  }

  // Edges of a whose image is an edge of b, each edge of b once.
  [[nodiscard]] Offset count_kept_edges() const {
    Offset count = 0;
    std::vector<NodeId> images, sources;
    for (NodeId node = 0; node < a_.nodes; ++node) {
      const NodeId partner = to_b_[index(node)];
      if (partner < 0) continue;
      images.clear();
      for (const NodeId source : a_.graph.inputs(node))
        if (to_b_[index(source)] >= 0) images.push_back(to_b_[index(source)]);
      const auto inputs = b_.graph.inputs(partner);
      sources.assign(inputs.begin(), inputs.end());
      std::sort(images.begin(), images.end());
      std::sort(sources.begin(), sources.end());
      auto image = images.begin();
      for (auto source = sources.begin(); image != images.end() && source != sources.end();) {
        if (*image == *source)
          ++count, ++image, ++source;
        else
          *image < *source ? ++image : ++source;
      }
    }
    return count;
  }

  void match(NodeId a, NodeId b) {
    to_b_[index(a)] = b;
    to_a_[index(b)] = a;
    matches_.push_back(a);
    propose(a_.graph.inputs(a), b_.graph.inputs(b));
    propose(a_.readers[a], b_.readers[b]);
  }

  // Makes candidates of the unmatched neighbours of two matched nodes.
  void propose(std::span<const NodeId> of_a, std::span<const NodeId> of_b) {
    if (of_a.size() <= kFan && of_b.size() <= kFan) {
      for (const NodeId a : of_a)
        for (const NodeId b : of_b) propose(a, b);
      return;
    }
    const std::size_t shared = std::min(of_a.size(), of_b.size());
    for (std::size_t i = 0; i < shared; ++i) {
      propose(of_a[i], of_b[i]);
      propose(of_a[of_a.size() - 1 - i], of_b[of_b.size() - 1 - i]);
    }
  }

  void propose(NodeId a, NodeId b) {
    if (to_b_[index(a)] != kNone || to_a_[index(b)] != kNone) return;
    int level = agreement(a, b);
    const int votes = kept_edges(a, b);
    // Arithmetic is everywhere: one neighbour in common says little.
    if (level >= 0 && level <= 1 && votes < 2 && importance(a_.graph.op[index(a)]) == 1)
      level = kAlike;
    if (level != kUnlike) queue_.push({level, votes, turn_++, a, b});
  }

  // Matches candidates that agree at `level` or above, until there are none.
  void grow(int level) {
    while (!queue_.empty() && queue_.top().level >= level) {
      const Candidate best = queue_.top();
      queue_.pop();
      if (to_b_[index(best.a)] == kNone && to_a_[index(best.b)] == kNone) match(best.a, best.b);
    }
  }

  // Calls visit(nodes of a, nodes of b) for every label of unmatched nodes of both graphs, in the
  // order in which the labels appear in a.
  template <typename Visit>
  void for_each_label(int level, Visit visit) {
    std::erase_if(open_a_, [&](NodeId node) { return to_b_[index(node)] != kNone; });
    std::erase_if(open_b_, [&](NodeId node) { return to_a_[index(node)] != kNone; });
    if (open_a_.empty() || open_b_.empty()) return;
    groups_.build(a_, b_, open_a_, open_b_, level);
    for (const LabelGroups::Group& group : groups_.all())
      if (group.size_b > 0) visit(groups_.nodes_of_a(group), groups_.nodes_of_b(group));
  }

  // Matches nodes of a label that is equally frequent in both graphs, at most `most` times, and
  // grows from them. `ordered` leaves out what would cross the matches that stand, and each other.
  void match_equal(int level, std::size_t most, bool ordered) {
    seeds_.clear();
    for_each_label(level, [&](auto of_a, auto of_b) {
      if (of_a.size() != of_b.size() || of_a.size() > most) return;
      for (std::size_t i = 0; i < of_a.size(); ++i) seeds_.emplace_back(of_a[i], of_b[i]);
    });
    if (ordered) drop_crossing_seeds();
    for (const auto& [a, b] : seeds_)
      if (to_b_[index(a)] == kNone && to_a_[index(b)] == kNone) match(a, b);
    grow(level);
  }

  // Keeps a longest list of seeds whose partners rise, between the partners of the matched nodes
  // before and after them.
  void drop_crossing_seeds() {
    if (seeds_.empty()) return;
    std::sort(seeds_.begin(), seeds_.end());
    std::vector<NodeId> after(seeds_.size());
    NodeId node = a_.nodes - 1, bound = b_.nodes;
    for (std::size_t i = seeds_.size(); i-- > 0;) {
      for (; node > seeds_[i].first; --node)
        if (to_b_[index(node)] >= 0) bound = to_b_[index(node)];
      after[i] = bound;
    }
    std::vector<std::size_t> tails, before(seeds_.size());  // of the longest lists so far
    node = 0;
    bound = kNone;
    for (std::size_t i = 0; i < seeds_.size(); ++i) {
      const auto [a, b] = seeds_[i];
      for (; node < a; ++node)
        if (to_b_[index(node)] >= 0) bound = to_b_[index(node)];
      if (b <= bound || b >= after[i]) continue;
      const auto place = std::lower_bound(
          tails.begin(), tails.end(), b,
          [&](std::size_t seed, NodeId value) { return seeds_[seed].second < value; });
      before[i] = place == tails.begin() ? i : *(place - 1);
      if (place == tails.end())
        tails.push_back(i);
      else
        *place = i;
    }
    std::vector<std::pair<NodeId, NodeId>> kept;
    if (!tails.empty())
      for (std::size_t i = tails.back(), left = tails.size(); left > 0; i = before[i], --left)
        kept.push_back(seeds_[i]);
    std::reverse(kept.begin(), kept.end());
    seeds_ = std::move(kept);
  }

  // Matches like operators on both sides of what was put in or taken out: the nearest ones that
  // walks through unmatched nodes reach from two matched ones.
  void bridge_gaps() {
    const auto inputs = [](const Side& side, NodeId node) { return side.graph.inputs(node); };
    const auto readers = [](const Side& side, NodeId node) { return side.readers[node]; };
    // Every match is looked at once, new ones included.
    for (; bridged_ < matches_.size(); ++bridged_) {
      const NodeId node = matches_[bridged_];
      while (to_b_[index(node)] >= 0 && (bridge(node, inputs) || bridge(node, readers))) grow(0);
    }
  }

  template <typename Neighbours>
  bool bridge(NodeId a, Neighbours neighbours) {
    walk(a_, to_b_, a, neighbours, walk_a_);
    if (walk_a_.empty()) return false;
    walk(b_, to_a_, to_b_[index(a)], neighbours, walk_b_);
    // The heaviest common subsequence of both walks.
    const auto weight = [&](NodeId node, NodeId other) {
      const int level = agreement(node, other);
      const int full = 2 * importance(a_.graph.op[index(node)]);
      return level >= 0 ? full : level == kAlike ? full / 2 : 0;
    };
    std::array<std::array<int, kWalk + 1>, kWalk + 1> best{};
    for (std::size_t i = walk_a_.size(); i-- > 0;)
      for (std::size_t j = walk_b_.size(); j-- > 0;) {
        const int both = weight(walk_a_[i], walk_b_[j]);
        best[i][j] =
            std::max({best[i + 1][j], best[i][j + 1], both > 0 ? both + best[i + 1][j + 1] : 0});
      }
    std::size_t i = 0, j = 0;
    while (best[i][j] > 0) {
      const int both = weight(walk_a_[i], walk_b_[j]);
      if (both > 0 && best[i][j] == both + best[i + 1][j + 1]) {
        match(walk_a_[i], walk_b_[j]);
        return true;
      }
      best[i][j] == best[i + 1][j] ? ++i : ++j;
    }
    return false;
  }

  // The unmatched nodes that lead away from `start`, nearest first, at most kWalk.
  template <typename Neighbours>
  static void walk(const Side& side, const std::vector<NodeId>& partner, NodeId start,
                   Neighbours neighbours, std::vector<NodeId>& found) {
    found.clear();
    const auto visit = [&](NodeId node) {
      const std::span<const NodeId> near = neighbours(side, node);
      for (const NodeId next : near.first(std::min(near.size(), kHub))) {
        if (found.size() == kWalk) return;
        if (partner[index(next)] == kNone &&
            std::find(found.begin(), found.end(), next) == found.end())
          found.push_back(next);
      }
    };
    visit(start);
    for (std::size_t i = 0; i < found.size(); ++i) visit(found[i]);
  }

  void match_in_order(int level) {
    for_each_label(level, [&](auto of_a, auto of_b) {
      auto b = of_b.begin();
      for (const NodeId node : of_a) {
        if (to_b_[index(node)] != kNone) continue;
        while (b != of_b.end() && to_a_[index(*b)] != kNone) ++b;
        if (b == of_b.end()) return;
        match(node, *b);
        if (level <= 1) lone_.push_back(node);
        grow(0);
        bridge_gaps();
        grow(kAlike);
      }
    });
  }

  // Inputs with inputs, outputs with outputs, in their order.
  void match_ends() {
    const auto pair_up = [&](auto is_end_of_a, auto is_end_of_b) {
      NodeId b = 0;
      for (NodeId a = 0; a < a_.nodes; ++a) {
        if (to_b_[index(a)] != kNone || !is_end_of_a(a)) continue;
        while (b < b_.nodes && (to_a_[index(b)] != kNone || !is_end_of_b(b))) ++b;
        if (b == b_.nodes) return;
        if (agreement(a, b) >= 0) match(a, b);
      }
    };
    pair_up([&](NodeId node) { return a_.readers[node].empty(); },
            [&](NodeId node) { return b_.readers[node].empty(); });
    pair_up([&](NodeId node) { return a_.graph.inputs(node).empty(); },
            [&](NodeId node) { return b_.graph.inputs(node).empty(); });
  }

  // Gives each node the partner that keeps most edges, if it is free or gains by an exchange. Among
  // equals, one sweep prefers the partner beside its readers, the other that beside its inputs.
  void move_nodes(bool towards_readers) {
    for (NodeId step = 0; step < a_.nodes; ++step) {
      const NodeId node = towards_readers ? a_.nodes - 1 - step : step;
      if (to_b_[index(node)] == kBarred) continue;
      collect_partners(node);
      for (const NodeId partner : partners_) try_move(node, partner, towards_readers);
    }
  }

  void collect_partners(NodeId node) {
    partners_.clear();
    const auto collect = [&](std::span<const NodeId> neighbours, auto neighbours_in_b) {
      for (const NodeId neighbour : neighbours.first(std::min(neighbours.size(), kFan))) {
        const NodeId image = to_b_[index(neighbour)];
        if (image < 0) continue;
        const std::span<const NodeId> found = neighbours_in_b(image);
        for (const NodeId partner : found.first(std::min(found.size(), kFan)))
          if (b_.label(partner, 0) == a_.label(node, 0) && same_part(node, partner))
            partners_.push_back(partner);
      }
    };
    collect(a_.graph.inputs(node), [&](NodeId image) { return b_.readers[image]; });
    collect(a_.readers[node], [&](NodeId image) { return b_.graph.inputs(image); });
    std::sort(partners_.begin(), partners_.end());
    partners_.erase(std::unique(partners_.begin(), partners_.end()), partners_.end());
  }

  static bool is_hub(const Side& side, NodeId node) {
    return side.graph.inputs(node).size() + side.readers[node].size() > kHub;
  }

  void try_move(NodeId node, NodeId partner, bool towards_readers) {
    const NodeId current = to_b_[index(node)];
    const NodeId rival = to_a_[index(partner)];
    if (partner == current || rival == kBarred) return;
    if (rival != kNone && is_hub(a_, rival) && is_hub(b_, partner) && !is_hub(a_, node)) return;
    const auto worth = [&](NodeId a, NodeId b) {  // edges first, then equal attributes
      if (a == kNone || b == kNone) return 0;
      return 2 * kept_edges(a, b) + (a_.label(a, 1) == b_.label(b, 1) ? 1 : 0);
    };
    const bool exchange =
        rival != kNone && current != kNone && a_.label(rival, 0) == b_.label(current, 0);
    int gain = worth(node, partner) - worth(node, current) - worth(rival, partner);
    if (exchange) gain += worth(rival, current);
    if (gain < 0) return;
    if (gain == 0) {
      if (rival != kNone || current == kNone) return;
      const int closer = towards_readers ? kept_readers(node, partner) - kept_readers(node, current)
                                         : kept_inputs(node, partner) - kept_inputs(node, current);
      if (closer <= 0) return;
    }
    if (current != kNone) to_a_[index(current)] = exchange ? rival : kNone;
    if (rival != kNone) to_b_[index(rival)] = exchange ? current : kNone;
    to_b_[index(node)] = partner;
    to_a_[index(partner)] = node;
  }

  // Nodes that share an operator and nothing else are not the same.
  void drop_strays() {
    for (const NodeId node : lone_) {
      const NodeId image = to_b_[index(node)];
      if (image == kNone || kept_edges(node, image) > 0) continue;
      to_b_[index(node)] = kNone;
      to_a_[index(image)] = kNone;
    }
  }

  Side a_;
  Side b_;
  Parts parts_;
  bool within_parts_ = false;
  std::vector<NodeId> to_b_;
  std::vector<NodeId> to_a_;
  std::priority_queue<Candidate> queue_;
  std::vector<NodeId> matches_;  // nodes of a in the order in which they were matched
  std::size_t bridged_ = 0;      // as many of them have been looked at by `bridge_gaps`
  std::vector<NodeId> lone_;     // nodes of a that were matched by their order alone
  std::int64_t turn_ = 0;
  // Buffers.
  LabelGroups groups_;
  std::vector<NodeId> open_a_, open_b_;  // unmatched nodes, and some matched ones
  std::vector<std::pair<NodeId, NodeId>> seeds_;
  std::vector<NodeId> partners_, walk_a_, walk_b_;
};

// A total order of graphs: align(a, b) and align(b, a) do the same work on the same first graph.
bool comes_first(const GraphView& a, const GraphView& b, const Parts& parts) {
  const auto less = [](auto x, auto y) {
    return std::lexicographical_compare_three_way(x.begin(), x.end(), y.begin(), y.end());
  };
  if (a.op.size() != b.op.size()) return a.op.size() < b.op.size();
  if (const auto order = less(a.op, b.op); order != 0) return order < 0;
  if (const auto order = less(a.attr, b.attr); order != 0) return order < 0;
  for (NodeId node = 0; node < a.num_nodes(); ++node)
    if (const auto order = less(a.inputs(node), b.inputs(node)); order != 0) return order < 0;
  return less(parts.of_a, parts.of_b) <= 0;
}

// Whether every node may have itself as partner.
bool nobody_is_barred(const Parts& parts) {
  return std::all_of(parts.of_a.begin(), parts.of_a.end(), [](auto part) { return part >= 0; });
}

}  // namespace

Alignment align(const GraphView& a, const GraphView& b, Parts parts) {
  const bool divided = !parts.of_a.empty() || !parts.of_b.empty();
  if (divided && (parts.of_a.size() != a.op.size() || parts.of_b.size() != b.op.size()))
    throw InvalidGraph("parts must have one entry for each node of both graphs");
  const Parts swapped{parts.of_b, parts.of_a};
  const bool first = comes_first(a, b, parts);
  if (first && comes_first(b, a, swapped) && nobody_is_barred(parts)) {
    Alignment same;
    same.to_b.resize(a.op.size());
    std::iota(same.to_b.begin(), same.to_b.end(), 0);
    same.to_a = same.to_b;
    same.kept_edges = a.num_edges();
    return same;
  }
  if (first) return Aligner(a, b, parts).run();
  Alignment inverse = Aligner(b, a, swapped).run();
  std::swap(inverse.to_a, inverse.to_b);
  return inverse;
}

}  // namespace narfast
