// Two searches: conflict-directed backjumping over a fixed order of the pattern's nodes, which is
// quick where places are nearly unique, and forward checking for those places where it is not.
#include "narfast/match/occurrences.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <iterator>
#include <queue>
#include <stdexcept>
#include <string>
#include <tuple>
#include <unordered_map>

#include "narfast/base/parallel.h"
#include "narfast/graph/operators.h"

namespace narfast {
namespace {

constexpr NodeId kFree = -1;   // no node of the pattern stands here
constexpr NodeId kTaken = -2;  // part of an earlier occurrence
constexpr NodeId kNowhere = -1;
// Steps for each node of the pattern after which a place is searched by forward checking.
constexpr std::int64_t kQuickSteps = 200;
// Likewise, after which a place is put off until all others have been searched.
constexpr std::int64_t kOrderedSteps = 1'000;
// Steps that every place may take.
constexpr std::int64_t kLeastSteps = 10'000;
// Places put off in a graph that has an occurrence before the search is cut short.
constexpr std::size_t kMaxUndecided = 2;

Label label_of(const GraphView& graph, NodeId node, MatchLevel level) {
  return label_at(make_label(graph.op[index(node)], graph.attr[index(node)]), level);
}

/// The pattern with what every search asks of it.
struct Pattern {
  GraphView graph;
  MatchLevel level;
  Consumers readers;
  std::vector<Label> label;
  std::vector<NodeId> first_of_label;             // one node for each distinct label, ascending
  std::vector<std::pair<OpId, std::size_t>> ops;  // distinct operators with their number of nodes

  Pattern(const GraphView& pattern, MatchLevel at)
      : graph(pattern), level(at), readers(consumers_of(pattern)) {
    std::unordered_map<Label, NodeId> seen;
    for (NodeId node = 0; node < size(); ++node) {
      label.push_back(label_of(graph, node, level));
      if (seen.try_emplace(label.back(), node).second) first_of_label.push_back(node);
    }
    std::vector<OpId> sorted(graph.op.begin(), graph.op.end());
    std::sort(sorted.begin(), sorted.end());
    for (const OpId op : sorted) {
      if (ops.empty() || ops.back().first != op) ops.emplace_back(op, 0);
      ++ops.back().second;
    }
  }

  [[nodiscard]] NodeId size() const { return graph.num_nodes(); }
};

/// The order in which nodes are placed, anchor first, with the neighbours placed before each.
struct Plan {
  std::vector<NodeId> order;
  std::vector<std::int32_t> position;   // of each node, in `order`
  Csr<Offset, NodeId> earlier_readers;  // of each position, distinct
  Csr<Offset, NodeId> earlier_sources;  // likewise
};

std::vector<NodeId> distinct(std::span<const NodeId> nodes) {
  std::vector<NodeId> result(nodes.begin(), nodes.end());
  std::sort(result.begin(), result.end());
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

Plan make_plan(const Pattern& pattern, NodeId anchor) {
  const std::size_t size = index(pattern.size());
  Plan plan;
  plan.position.assign(size, -1);
  // Most placed neighbours first; then what a placed node reads, which is nearly unique; then what
  // is near the anchor.
  std::vector<std::int32_t> placed(size, 0), distance(size, 0);
  std::vector<std::uint8_t> is_read(size, 0);
  using Entry = std::tuple<std::int32_t, std::uint8_t, std::int32_t, NodeId>;
  std::priority_queue<Entry> waiting;
  const auto push = [&](NodeId node) {
    const std::size_t i = index(node);
    waiting.emplace(placed[i], is_read[i], -distance[i], -node);
  };
  const auto place = [&](NodeId node) {
    plan.position[index(node)] = static_cast<std::int32_t>(plan.order.size());
    plan.order.push_back(node);
    const auto touch = [&](NodeId other, bool read) {
      const std::size_t i = index(other);
      if (plan.position[i] >= 0) return;
      if (placed[i]++ == 0) distance[i] = distance[index(node)] + 1;
      is_read[i] |= static_cast<std::uint8_t>(read);
      push(other);
    };
    for (const NodeId source : distinct(pattern.graph.inputs(node))) touch(source, true);
    for (const NodeId reader : distinct(pattern.readers[node])) touch(reader, false);
  };
  place(anchor);
  for (NodeId next = 0;;) {
    if (waiting.empty()) {  // a pattern in several pieces
      while (next < pattern.size() && plan.position[index(next)] >= 0) ++next;
      if (next == pattern.size()) break;
      place(next);
      continue;
    }
    const NodeId node = -std::get<3>(waiting.top());
    waiting.pop();
    if (plan.position[index(node)] < 0) place(node);
  }
  for (const NodeId node : plan.order) {
    const auto keep_earlier = [&](std::span<const NodeId> nodes, Csr<Offset, NodeId>& rows) {
      for (const NodeId other : distinct(nodes))
        if (plan.position[index(other)] < plan.position[index(node)]) rows.values.push_back(other);
      rows.end_row();
    };
    keep_earlier(pattern.readers[node], plan.earlier_readers);
    keep_earlier(pattern.graph.inputs(node), plan.earlier_sources);
  }
  return plan;
}

/// Sets of positions, one for each position.
class Conflicts {
 public:
  explicit Conflicts(std::size_t size) : words_((size + 63) / 64), bits_(size * words_, 0) {}

  void clear(std::size_t of) { std::fill_n(row(of), words_, 0); }
  void add(std::size_t of, std::int32_t position) {
    row(of)[index(position) / 64] |= std::uint64_t{1} << (index(position) % 64);
  }
  /// Removes the largest member and returns it; -1 of an empty set.
  std::int32_t take_largest(std::size_t of) {
    for (std::size_t word = words_; word-- > 0;) {
      std::uint64_t& bits = row(of)[word];
      if (bits == 0) continue;
      const int bit = 63 - std::countl_zero(bits);
      bits &= ~(std::uint64_t{1} << bit);
      return static_cast<std::int32_t>(word * 64) + bit;
    }
    return -1;
  }
  void merge(std::size_t into, std::size_t from) {
    for (std::size_t word = 0; word < words_; ++word) row(into)[word] |= row(from)[word];
  }

 private:
  std::uint64_t* row(std::size_t of) { return bits_.data() + of * words_; }

  std::size_t words_;
  std::vector<std::uint64_t> bits_;
};

/// The search in one graph.
class Search {
 public:
  Search(const SearchableGraphs& graphs, std::size_t row, const Pattern& pattern, const Plan& plan)
      : graph_(graphs.graph(row)),
        readers_(graphs.readers(row)),
        graphs_(graphs),
        row_(row),
        pattern_(pattern),
        plan_(plan),
        role_(graph_.op.size(), kFree),
        image_(index(pattern.size()), kNowhere),
        cursor_(index(pattern.size())),
        conflicts_(index(pattern.size())),
        steps_left_(
            std::min(kMatchSteps + kMatchStepsPerNode * graph_.num_nodes(), kMostMatchSteps)),
        domains_(image_.size()) {}

  /// Appends the images of all occurrences; false if the limit of steps was reached.
  bool run(std::vector<NodeId>& found) {
    const NodeId anchor = plan_.order.front();
    const auto size = static_cast<std::int64_t>(image_.size());
    const auto keep = [&] {
      found.insert(found.end(), image_.begin(), image_.end());
      for (const NodeId node : image_) role_[index(node)] = kTaken;
      std::fill(image_.begin(), image_.end(), kNowhere);
    };
    std::vector<NodeId> undecided;
    for (const NodeId place : graphs_.nodes_of(row_, pattern_.graph.op[index(anchor)])) {
      --steps_left_;
      stop_at_ = std::max<std::int64_t>(0, steps_left_ - kQuickSteps * size);
      if (match(place)) {
        keep();
      } else if (steps_left_ < stop_at_) {
        // Whether there is one matters more than how many.
        const std::int64_t steps =
            found.empty() ? kOrderedSteps * size : std::max(kQuickSteps * size, kLeastSteps);
        stop_at_ = std::max<std::int64_t>(0, steps_left_ - steps);
        if (match_by_domains(place, true))
          keep();
        else
          undecided.push_back(place);
      }
      const bool tedious = !found.empty() && undecided.size() > kMaxUndecided;
      if (steps_left_ < 0 || tedious) return false;
    }
    if (!undecided.empty() && !found.empty()) return false;  // it occurs; more would take long
    stop_at_ = 0;
    for (const NodeId place : undecided) {
      if (match_by_domains(place, false)) keep();
      if (steps_left_ < 0) return false;
    }
    return true;
  }

 private:
  /// The places that are left to try for a position.
  struct Cursor {
    std::span<const NodeId> places;
    std::size_t next = 0;
    bool ascending = true;  // equal places stand together
  };

  /// Conflict-directed backjumping; gives up below `stop_at_`.
  bool match(NodeId anchor) {
    conflicts_.clear(0);
    if (!try_place(0, anchor)) return false;
    std::size_t position = 1;
    if (position < image_.size()) open(position);
    while (position < image_.size()) {
      if (place_next(position)) {
        if (++position < image_.size()) open(position);
        continue;
      }
      const std::int32_t back = steps_left_ < stop_at_ ? 0 : conflicts_.take_largest(position);
      const std::size_t target = index(std::max(back, 0));
      if (target > 0) conflicts_.merge(target, position);
      while (position > target) lift(--position);
      if (target == 0) return false;
    }
    return true;
  }

  /// Chooses the shortest list of places that the neighbours placed before allow.
  void open(std::size_t position) {
    conflicts_.clear(position);
    Cursor& cursor = cursor_[position];
    cursor = {};
    bool chosen = false;
    const auto offer = [&](NodeId neighbour, std::span<const NodeId> places, bool ascending) {
      conflicts_.add(position, plan_.position[index(neighbour)]);
      if (chosen && places.size() >= cursor.places.size()) return;
      cursor = {places, 0, ascending};
      chosen = true;
    };
    for (const NodeId reader : plan_.earlier_readers[position])
      offer(reader, graph_.inputs(image_[index(reader)]), false);
    for (const NodeId source : plan_.earlier_sources[position])
      offer(source, readers_[image_[index(source)]], true);
    if (!chosen)
      cursor.places = graphs_.nodes_of(row_, pattern_.graph.op[index(plan_.order[position])]);
  }

  bool place_next(std::size_t position) {
    Cursor& cursor = cursor_[position];
    while (cursor.next < cursor.places.size() && steps_left_ >= stop_at_) {
      const std::size_t at = cursor.next++;
      const NodeId place = cursor.places[at];
      --steps_left_;
      if (cursor.ascending) {
        if (at > 0 && cursor.places[at - 1] == place) continue;
      } else {
        const auto before = cursor.places.first(at);
        steps_left_ -= static_cast<std::int64_t>(at);
        if (std::find(before.begin(), before.end(), place) != before.end()) continue;
      }
      if (try_place(position, place)) return true;
    }
    return false;
  }

  bool try_place(std::size_t position, NodeId place) {
    const NodeId node = plan_.order[position];
    if (role_[index(place)] != kFree) {
      blame(position, role_[index(place)]);
      return false;
    }
    if (!fits(node, place)) return false;
    role_[index(place)] = node;
    image_[index(node)] = place;
    if (edges_agree(position, node, place)) return true;
    role_[index(place)] = kFree;
    image_[index(node)] = kNowhere;
    return false;
  }

  void lift(std::size_t position) {
    const NodeId node = plan_.order[position];
    role_[index(image_[index(node)])] = kFree;
    image_[index(node)] = kNowhere;
  }

  /// A placed node of the pattern has a part in the failure at a position.
  void blame(std::size_t position, NodeId role) {
    if (role < 0) return;
    const std::int32_t at = plan_.position[index(role)];
    if (index(at) < position) conflicts_.add(position, at);
  }

  /// Forward checking (Haralick and Elliott, Increasing tree search efficiency for constraint
  /// satisfaction problems, 1980): each node keeps the list of places that agree with all that are
  /// placed, in edges that are there and in edges that are not, and the node with the fewest is
  /// placed next. If `ordered`, nodes of the pattern must have places in the order of
  /// their numbers, as in the network that the pattern was cut from: few choices are left then.
  /// Gives up below `stop_at_`.
  bool match_by_domains(NodeId anchor, bool ordered) {
    const NodeId first = plan_.order.front();
    if (role_[index(anchor)] != kFree || !fits(first, anchor)) return false;
    std::vector<NodeId> unplaced;
    for (NodeId node = 0; node < pattern_.size(); ++node) {
      auto& domain = domains_[index(node)];
      domain.clear();
      if (node == first) continue;
      unplaced.push_back(node);
      const auto places = graphs_.nodes_of(row_, pattern_.graph.op[index(node)]);
      steps_left_ -= static_cast<std::int64_t>(places.size());
      if (steps_left_ < stop_at_) return false;
      for (const NodeId place : places)
        if (role_[index(place)] == kFree && place != anchor && fits(node, place))
          domain.push_back(place);
    }
    from_.assign(role_.size(), 0);
    to_.assign(role_.size(), 0);
    wanted_from_.assign(image_.size(), 0);
    wanted_to_.assign(image_.size(), 0);
    /// A decision: its node, the places left to try, and the domains before it.
    struct Decision {
      NodeId node;
      std::vector<NodeId> places;
      std::size_t next;
      std::vector<std::pair<NodeId, std::vector<NodeId>>> changed;
    };
    std::vector<Decision> decisions;
    decisions.push_back({first, {anchor}, 0, {}});
    while (!decisions.empty()) {
      Decision& now = decisions.back();
      if (image_[index(now.node)] != kNowhere) {  // back from a dead end
        role_[index(image_[index(now.node)])] = kFree;
        image_[index(now.node)] = kNowhere;
        for (auto& [node, domain] : now.changed) domains_[index(node)] = std::move(domain);
        now.changed.clear();
      }
      if (now.next == now.places.size() || steps_left_ < stop_at_) {
        if (now.node != first) unplaced.push_back(now.node);
        decisions.pop_back();
        continue;
      }
      const NodeId place = now.places[now.next++];
      role_[index(place)] = now.node;
      image_[index(now.node)] = place;
      if (!arguments_agree(now.node) || !narrow(now.node, place, ordered, unplaced, now.changed))
        continue;
      if (unplaced.empty()) return true;
      // In order, nodes are placed from the anchor outwards, as near to it as they can be: that
      // leaves the most room for the others.
      const auto urgency = [&](NodeId node) {
        const std::size_t places = domains_[index(node)].size();
        return std::pair(ordered && places > 1 ? kMaxNodes : static_cast<Offset>(places),
                         ordered ? std::abs(node - first) : node);
      };
      const auto fewest =
          std::min_element(unplaced.begin(), unplaced.end(),
                           [&](NodeId a, NodeId b) { return urgency(a) < urgency(b); });
      const NodeId node = *fewest;
      unplaced.erase(fewest);
      decisions.push_back({node, domains_[index(node)], 0, {}});
      if (ordered && node < first)
        std::reverse(decisions.back().places.begin(), decisions.back().places.end());
    }
    return false;
  }

  /// Whether a node may stand at a place, its neighbours apart.
  [[nodiscard]] bool fits(NodeId node, NodeId place) const {
    return label_of(graph_, place, pattern_.level) == pattern_.label[index(node)] &&
           graph_.inputs(place).size() >= pattern_.graph.inputs(node).size() &&
           readers_[place].size() >= pattern_.readers[node].size();
  }

  /// Whether a node just placed and its placed readers read the right nodes in the right order.
  bool arguments_agree(NodeId node) {
    const std::size_t all = image_.size();
    if (!inputs_agree(all, node)) return false;
    const auto readers = pattern_.readers[node];
    return std::all_of(readers.begin(), readers.end(), [&](NodeId reader) {
      return image_[index(reader)] == kNowhere || inputs_agree(all, reader);
    });
  }

  /// Removes from all domains what disagrees with a new node; false if a domain is empty then.
  bool narrow(NodeId node, NodeId place, bool ordered, const std::vector<NodeId>& unplaced,
              std::vector<std::pair<NodeId, std::vector<NodeId>>>& changed) {
    // Edges of the graph to and from the place, and of the pattern to and from the node.
    for (const NodeId source : graph_.inputs(place)) ++from_[index(source)];
    for (const NodeId reader : readers_[place]) ++to_[index(reader)];
    const auto sources = pattern_.graph.inputs(node);
    const auto readers = pattern_.readers[node];
    steps_left_ -= static_cast<std::int64_t>(graph_.inputs(place).size() + readers_[place].size());
    for (const NodeId source : sources) ++wanted_from_[index(source)];
    for (const NodeId reader : readers) ++wanted_to_[index(reader)];
    bool possible = true;
    for (const NodeId other : unplaced) {
      const std::int32_t from = wanted_from_[index(other)];
      const std::int32_t to = wanted_to_[index(other)];
      auto& domain = domains_[index(other)];
      // In order, the nodes between two nodes need places between theirs.
      const auto in_order = [&](NodeId at) {
        return other > node ? at - place >= other - node : place - at >= node - other;
      };
      const auto agrees = [&](NodeId at) {
        return at != place && from_[index(at)] == from && to_[index(at)] == to &&
               (!ordered || in_order(at));
      };
      steps_left_ -= 1 + static_cast<std::int64_t>(domain.size() / 4);
      if (std::all_of(domain.begin(), domain.end(), agrees)) continue;
      std::vector<NodeId> kept;
      std::copy_if(domain.begin(), domain.end(), std::back_inserter(kept), agrees);
      possible = !kept.empty();
      changed.emplace_back(other, std::exchange(domain, std::move(kept)));
      if (!possible) break;
    }
    for (const NodeId source : graph_.inputs(place)) from_[index(source)] = 0;
    for (const NodeId reader : readers_[place]) to_[index(reader)] = 0;
    for (const NodeId source : sources) wanted_from_[index(source)] = 0;
    for (const NodeId reader : readers) wanted_to_[index(reader)] = 0;
    return possible;
  }

  /// Whether the edges between a new node and those placed before are those of the pattern.
  bool edges_agree(std::size_t position, NodeId node, NodeId place) {
    if (!inputs_agree(position, node)) return false;
    for (const NodeId reader : plan_.earlier_readers[position])
      if (!inputs_agree(position, reader)) return false;
    // A reader of `place` that the pattern does not know would be an edge too many.
    const auto unexpected = [&](NodeId role) {
      const auto known = pattern_.readers[node];
      if (role < 0 || std::binary_search(known.begin(), known.end(), role)) return false;
      blame(position, role);
      return true;
    };
    const auto readers = readers_[place];
    if (readers.size() <= 64 + 4 * position) {
      steps_left_ -= static_cast<std::int64_t>(readers.size());
      return std::none_of(readers.begin(), readers.end(),
                          [&](NodeId reader) { return unexpected(role_[index(reader)]); });
    }
    for (std::size_t before = 0; before < position; ++before) {
      const NodeId other = plan_.order[before];
      const auto sources = graph_.inputs(image_[index(other)]);
      steps_left_ -= 1 + static_cast<std::int64_t>(sources.size());
      if (std::find(sources.begin(), sources.end(), place) != sources.end() && unexpected(other))
        return false;
    }
    return true;
  }

  /// Whether a placed node reads the placed nodes that it reads in the pattern, in their order.
  bool inputs_agree(std::size_t position, NodeId node) {
    actual_.clear();
    expected_.clear();
    const auto sources = graph_.inputs(image_[index(node)]);
    const auto wanted = pattern_.graph.inputs(node);
    steps_left_ -= 1 + static_cast<std::int64_t>(sources.size());
    for (const NodeId source : sources)
      if (role_[index(source)] >= 0) actual_.push_back(role_[index(source)]);
    for (const NodeId source : wanted)
      if (image_[index(source)] != kNowhere) expected_.push_back(source);
    if (actual_ == expected_) return true;
    if (has_trait(pattern_.graph.op[index(node)], trait::kCommutative) &&
        actual_.size() == expected_.size()) {
      std::sort(actual_.begin(), actual_.end());
      std::sort(expected_.begin(), expected_.end());
      if (actual_ == expected_) return true;
    }
    blame(position, node);
    for (const NodeId role : actual_) blame(position, role);
    for (const NodeId source : expected_) blame(position, source);
    return false;
  }

  GraphView graph_;
  CsrView<Offset, NodeId> readers_;
  const SearchableGraphs& graphs_;
  std::size_t row_;
  const Pattern& pattern_;
  const Plan& plan_;
  std::vector<NodeId> role_;   // of each node of the graph: a node of the pattern
  std::vector<NodeId> image_;  // of each node of the pattern: a node of the graph
  std::vector<Cursor> cursor_;
  Conflicts conflicts_;
  std::vector<NodeId> actual_, expected_;
  std::int64_t steps_left_;
  std::int64_t stop_at_ = 0;                           // steps left below which a search gives up
  std::vector<std::vector<NodeId>> domains_;           // of match_by_domains
  std::vector<std::int32_t> from_, to_;                // edges between a place and each node
  std::vector<std::int32_t> wanted_from_, wanted_to_;  // likewise, in the pattern
};

/// The occurrences of a pattern of one node: the nodes with its label.
void find_single(const SearchableGraphs& graphs, std::size_t row, const Pattern& pattern,
                 std::vector<NodeId>& found) {
  const GraphView graph = graphs.graph(row);
  for (const NodeId node : graphs.nodes_of(row, pattern.graph.op.front()))
    if (label_of(graph, node, pattern.level) == pattern.label.front()) found.push_back(node);
}

/// The node of the pattern whose operator, then label, is rarest in a graph; -1 where the graph has
/// too few nodes of an operator.
NodeId choose_anchor(const SearchableGraphs& graphs, std::size_t row, const Pattern& pattern) {
  std::span<const NodeId> rarest;
  OpId rarest_op = 0;
  bool chosen = false;
  for (const auto& [op, needed] : pattern.ops) {
    const auto nodes = graphs.nodes_of(row, op);
    if (nodes.size() < needed) return -1;
    if (chosen && nodes.size() >= rarest.size()) continue;
    rarest = nodes;
    rarest_op = op;
    chosen = true;
  }
  std::vector<std::pair<std::size_t, NodeId>> count;
  for (const NodeId node : pattern.first_of_label)
    if (pattern.graph.op[index(node)] == rarest_op) count.emplace_back(0, node);
  if (count.size() == 1) return count.front().second;
  std::unordered_map<Label, std::size_t> place;
  for (std::size_t i = 0; i < count.size(); ++i)
    place.emplace(pattern.label[index(count[i].second)], i);
  const GraphView graph = graphs.graph(row);
  for (const NodeId node : rarest)
    if (const auto at = place.find(label_of(graph, node, pattern.level)); at != place.end())
      ++count[at->second].first;
  const auto least = std::min_element(count.begin(), count.end());
  return least->first == 0 ? -1 : least->second;
}

}  // namespace

SearchableGraphs::SearchableGraphs(const GraphBatchView& batch, int num_threads) : batch_(batch) {
  const std::size_t nodes = batch.op.size();
  reader_ptr_.assign(nodes + 1, 0);
  reader_.resize(batch.in_src.size());
  by_operator_.resize(nodes);
  std::vector<std::vector<Bucket>> buckets(batch.size());
  parallel_for(batch.size(), num_threads, [&](std::size_t row) {
    const GraphView graph = batch[row];
    const std::size_t begin = index(batch.node_ptr[row]);
    if (graph.op.empty()) return;
    // The readers of a graph take the room of its edges.
    const Consumers readers = consumers_of(graph);
    const Offset base = graph.in_ptr.front();
    for (std::size_t node = 0; node < graph.op.size(); ++node)
      reader_ptr_[begin + node] = base + readers.ptr[node];
    std::copy(readers.values.begin(), readers.values.end(),
              reader_.begin() + static_cast<std::ptrdiff_t>(base));
    const auto by_op = group_by<Offset, NodeId>(graph.op, operator_table().size());
    std::copy(by_op.values.begin(), by_op.values.end(),
              by_operator_.begin() + static_cast<std::ptrdiff_t>(begin));
    const auto first = static_cast<Offset>(begin);
    for (std::size_t op = 0; op < by_op.size(); ++op)
      if (by_op.ptr[op] < by_op.ptr[op + 1])
        buckets[row].push_back({static_cast<OpId>(op), first + by_op.ptr[op]});
    buckets[row].push_back({0, first + static_cast<Offset>(graph.op.size())});
  });
  reader_ptr_[nodes] = static_cast<Offset>(reader_.size());
  bucket_ptr_.assign(1, 0);
  for (const auto& row : buckets) {
    buckets_.insert(buckets_.end(), row.begin(), row.end());
    bucket_ptr_.push_back(static_cast<Offset>(buckets_.size()));
  }
}

CsrView<Offset, NodeId> SearchableGraphs::readers(std::size_t row) const {
  const std::size_t begin = index(batch_.node_ptr[row]);
  const std::size_t count = index(batch_.node_ptr[row + 1]) - begin;
  return {std::span(reader_ptr_).subspan(begin, count + 1), reader_};
}

std::span<const NodeId> SearchableGraphs::nodes_of(std::size_t row, OpId op) const {
  const std::size_t begin = index(bucket_ptr_[row]), end = index(bucket_ptr_[row + 1]);
  if (begin == end) return {};
  const auto known = std::span(buckets_).subspan(begin, end - begin - 1);
  const auto at = std::lower_bound(known.begin(), known.end(), op,
                                   [](const Bucket& b, OpId wanted) { return b.op < wanted; });
  if (at == known.end() || at->op != op) return {};
  const Bucket& next = buckets_[begin + static_cast<std::size_t>(at - known.begin()) + 1];
  return std::span(by_operator_).subspan(index(at->begin), index(next.begin - at->begin));
}

Occurrences find_occurrences(const SearchableGraphs& graphs, std::span<const std::int32_t> rows,
                             const GraphView& pattern, MatchLevel level, int num_threads) {
  if (pattern.op.empty())
    throw InvalidGraph("the block is empty; name one with at least one operator");
  if (pattern.num_nodes() > kMaxPatternNodes)
    throw InvalidGraph("a block of " + std::to_string(pattern.num_nodes()) +
                       " operators is too large to search for, at most " +
                       std::to_string(kMaxPatternNodes) + " are allowed; name a part of it");
  for (const std::int32_t row : rows)
    if (row < 0 || index(row) >= graphs.size())
      throw std::out_of_range("graph " + std::to_string(row) + " of " +
                              std::to_string(graphs.size()));
  const Pattern prepared(pattern, level);
  std::vector<NodeId> anchor(rows.size());
  parallel_for(rows.size(), num_threads,
               [&](std::size_t i) { anchor[i] = choose_anchor(graphs, index(rows[i]), prepared); });
  std::unordered_map<NodeId, Plan> plans;
  for (const NodeId node : anchor)
    if (node >= 0 && !plans.contains(node)) plans.emplace(node, make_plan(prepared, node));

  std::vector<std::vector<NodeId>> found(rows.size());
  Occurrences result;
  result.complete.assign(rows.size(), 1);
  parallel_for(rows.size(), num_threads, [&](std::size_t i) {
    if (anchor[i] < 0) return;
    if (prepared.size() == 1) return find_single(graphs, index(rows[i]), prepared, found[i]);
    Search search(graphs, index(rows[i]), prepared, plans.at(anchor[i]));
    result.complete[i] = static_cast<std::uint8_t>(search.run(found[i]));
  });
  for (const auto& images : found) {
    result.node.insert(result.node.end(), images.begin(), images.end());
    result.ptr.push_back(static_cast<Offset>(result.node.size() / pattern.op.size()));
  }
  return result;
}

std::vector<std::uint8_t> between(const GraphView& graph, std::span<const std::uint8_t> marked) {
  if (marked.size() != graph.op.size())
    throw InvalidGraph("between: needs one mark for each of " + std::to_string(graph.op.size()) +
                       " nodes, got " + std::to_string(marked.size()));
  std::vector<std::uint8_t> behind(marked.begin(), marked.end());
  std::vector<std::uint8_t> before(marked.begin(), marked.end());
  for (NodeId node = 0; node < graph.num_nodes(); ++node)
    for (const NodeId source : graph.inputs(node)) behind[index(node)] |= behind[index(source)];
  for (NodeId node = graph.num_nodes() - 1; node >= 0; --node)
    for (const NodeId source : graph.inputs(node)) before[index(source)] |= before[index(node)];
  for (std::size_t i = 0; i < behind.size(); ++i) behind[i] &= before[i];
  return behind;
}

}  // namespace narfast
