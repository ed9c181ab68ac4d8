// Projections of one value that are read together become one, and rotary embedding becomes one
// operator: code bases write both out or fuse them.
#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <map>
#include <set>
#include <span>
#include <utility>

#include "narfast/attributes.h"
#include "narfast/canonicalize.h"

namespace narfast {
namespace {

constexpr NodeId kNone = -1;
// Operators between a projection and attention: heads moved, a norm, a rotation, repeated keys.
constexpr std::size_t kMaxPath = 12;
constexpr int kRatioShift = 7, kRatioOne = 8, kRatioLargest = 15;

struct Ops {
  OpId linear = operator_id("linear"), attention = operator_id("attention"),
       rotary = operator_id("rotary_embedding"), mul = operator_id("mul"), add = operator_id("add"),
       sub = operator_id("sub"), neg = operator_id("neg"), concat = operator_id("concat"),
       split = operator_id("split"), slice = operator_id("slice"), permute = operator_id("permute"),
       repeat = operator_id("repeat");
};

// The widths of several projections of one value, side by side.
Attr add_ratios(const Rewriter& graph, const std::vector<NodeId>& projections) {
  double sum = 0.0;
  for (NodeId node : projections) {
    const int bin = static_cast<int>((graph.attr(node) & attr::kRatioMask) >> kRatioShift);
    if (bin == 0) return 0;  // not known
    sum += std::exp2(bin - kRatioOne);
  }
  const int bin = static_cast<int>(std::lround(std::log2(sum))) + kRatioOne;
  return static_cast<Attr>(std::clamp(bin, 1, kRatioLargest)) << kRatioShift;
}

class RotaryFuser {
 public:
  explicit RotaryFuser(Rewriter& graph)
      : graph_(graph), origin_(static_cast<std::size_t>(graph.size())) {}

  void run() {
    for (NodeId node = 0; node < graph_.size(); ++node) {
      graph_.refresh(node);
      if (graph_.op(node) == ops_.add)
        try_rotated(node);
      else if (graph_.op(node) == ops_.concat && !graph_.has_attr(node, attr::kParamOperand))
        try_halves(node);
      const bool arranges = is(node, ops_.permute) || is(node, ops_.split) || is(node, ops_.slice);
      origin_[index(node)] = arranges ? origin_[index(input(node))] : node;
    }
  }

 private:
  static std::size_t index(NodeId node) { return static_cast<std::size_t>(node); }
  NodeId input(NodeId node) const { return graph_.inputs(node).front(); }
  NodeId origin(NodeId node) const { return origin_[index(node)]; }
  bool is(NodeId node, OpId op) const {
    return graph_.op(node) == op && graph_.inputs(node).size() == 1;
  }

  // The operands of a product with a table of cosines or sines, one of which is the table if that
  // is computed from positions in the input; none if `node` is no such product.
  std::span<const NodeId> factors(NodeId node) const {
    const auto& inputs = graph_.inputs(node);
    const bool by_table =
        inputs.size() == 2 || (inputs.size() == 1 && graph_.has_attr(node, attr::kParamOperand));
    if (graph_.op(node) != ops_.mul || !by_table) return {};
    return inputs;
  }

  // The value of which `node` is (-second half, first half), halves of any kind; kNone if none.
  NodeId turned(NodeId node) const {
    if (graph_.op(node) != ops_.concat || graph_.inputs(node).size() != 2) return kNone;
    for (std::size_t first : {std::size_t{0}, std::size_t{1}}) {
      const NodeId minus = graph_.inputs(node)[first], plus = graph_.inputs(node)[1 - first];
      if (is(minus, ops_.neg) && input(minus) == plus && is_part(plus)) return origin(plus);
    }
    return kNone;
  }
  bool is_part(NodeId node) const { return is(node, ops_.split) || is(node, ops_.slice); }

  // x * cos + (-x2, x1) * sin
  void try_rotated(NodeId node) {
    if (graph_.inputs(node).size() != 2) return;
    for (std::size_t first : {std::size_t{0}, std::size_t{1}})
      for (NodeId plain : factors(graph_.inputs(node)[first]))
        for (NodeId other : factors(graph_.inputs(node)[1 - first]))
          if (const NodeId x = turned(other); x != kNone && origin(plain) == x) {
            graph_.become(node, ops_.rotary, 0, {x});
            return;
          }
  }

  // (x1 * cos - x2 * sin, x2 * cos + x1 * sin), or a rotated part of x beside the rest of it
  void try_halves(NodeId node) {
    const auto& parts = graph_.inputs(node);
    if (parts.size() < 2) return;
    NodeId x = kNone;
    bool rotated = false;
    for (NodeId part : parts) {
      NodeId from = kNone;
      if (is(part, ops_.rotary)) {
        from = input(part);
        rotated = true;
      } else if (is_part(part)) {
        from = origin(part);
      } else if (parts.size() == 2) {
        from = rotated_half_of(part);
        rotated = true;
      }
      if (from == kNone || (x != kNone && from != x)) return;
      x = from;
    }
    if (rotated) graph_.become(node, ops_.rotary, 0, {x});
  }
  // The value of which `node` adds or subtracts two parts, each times a table; kNone if of none.
  NodeId rotated_half_of(NodeId node) const {
    const bool sum = graph_.op(node) == ops_.add || graph_.op(node) == ops_.sub;
    if (!sum || graph_.inputs(node).size() != 2) return kNone;
    for (NodeId a : factors(graph_.inputs(node)[0]))
      for (NodeId b : factors(graph_.inputs(node)[1]))
        if (is_part(a) && is_part(b) && origin(a) == origin(b)) return origin(a);
    return kNone;
  }

  Rewriter& graph_;
  std::vector<NodeId> origin_;  // per node: the value that it is a part or an arrangement of
  Ops ops_;
};

class ProjectionFuser {
 public:
  explicit ProjectionFuser(Rewriter& graph) : graph_(graph) {}

  void run() {
    for (NodeId node = 0; node < graph_.size(); ++node) {
      graph_.refresh(node);
      if (graph_.op(node) == ops_.attention)
        join_attention(node);
      else if (graph_.op(node) == ops_.mul && graph_.inputs(node).size() == 2)
        join_gate(node);
    }
  }

 private:
  bool is_projection(NodeId node) const {
    return graph_.op(node) == ops_.linear && graph_.inputs(node).size() == 1;
  }
  bool is_layout(NodeId node) const {
    const OpId op = graph_.op(node);
    return op == ops_.split || op == ops_.slice || op == ops_.permute || op == ops_.repeat;
  }
  // Whether attention looks through `node` for the projection behind it.
  bool passes_on(NodeId node) const {
    const OpId op = graph_.op(node);
    return graph_.inputs(node).size() == 1 &&
           (is_layout(node) || op == ops_.rotary || op == ops_.mul ||
            operator_table()[op].category == Category::kNormalization);
  }

  void join_attention(NodeId node) {
    std::map<NodeId, int> readers;  // edges into what lies between attention and its projections
    std::vector<NodeId> projections, layouts;
    std::set<NodeId> reaching;  // what lies on a path to a projection
    for (NodeId operand : graph_.inputs(node)) {
      std::vector<NodeId> path;
      for (NodeId current = operand; path.size() < kMaxPath;
           current = graph_.inputs(current).front()) {
        ++readers[current];
        const bool known = reaching.contains(current);
        path.push_back(current);
        if (known || is_projection(current)) {
          if (!known) projections.push_back(current);
          reaching.insert(path.begin(), path.end());
          break;
        }
        if (!passes_on(current)) break;
      }
    }
    std::copy_if(reaching.begin(), reaching.end(), std::back_inserter(layouts),
                 [&](NodeId n) { return is_layout(n); });
    const auto read_here_alone = [&](NodeId n) { return readers[n] == graph_.uses(n); };
    for (NodeId layout : layouts)
      if (read_here_alone(layout)) graph_.replace_by(layout, graph_.inputs(layout).front());
    std::map<std::pair<NodeId, Attr>, std::vector<NodeId>> siblings;
    for (NodeId projection : projections)
      if (read_here_alone(projection))
        siblings[{graph_.inputs(projection).front(), graph_.attr(projection) & ~attr::kRatioMask}]
            .push_back(projection);
    for (auto& [kind, group] : siblings) {
      if (group.size() < 2) continue;
      const NodeId first = *std::min_element(group.begin(), group.end());
      graph_.set_attr(first, kind.second | add_ratios(graph_, group));
      for (NodeId projection : group)
        if (projection != first) graph_.replace_by(projection, first);
    }
  }

  // act(linear(x)) * linear(x), either way round: one projection whose parts are gate and value.
  void join_gate(NodeId node) {
    const auto inputs = graph_.inputs(node);
    for (std::size_t place : {std::size_t{0}, std::size_t{1}}) {
      const NodeId gate = inputs[place], value = inputs[1 - place];
      if (operator_table()[graph_.op(gate)].category != Category::kActivation ||
          graph_.inputs(gate).size() != 1 || graph_.uses(gate) != 1 || !is_projection(value) ||
          graph_.uses(value) != 1)
        continue;
      const NodeId gated = graph_.inputs(gate).front();
      if (!is_projection(gated) || gated == value || graph_.uses(gated) != 1 ||
          graph_.inputs(gated) != graph_.inputs(value) || graph_.attr(gated) != graph_.attr(value))
        continue;
      std::array<NodeId, 3> slots{gated, gate, value};
      std::sort(slots.begin(), slots.end());
      const auto [both, parts, activated] = slots;
      const Attr ratio = add_ratios(graph_, {gated, value});
      const OpId activation = graph_.op(gate);
      const Attr detail = graph_.attr(gate);
      graph_.become(both, ops_.linear, (graph_.attr(gated) & ~attr::kRatioMask) | ratio,
                    graph_.inputs(gated));
      graph_.become(parts, ops_.split, 0, {both});
      graph_.become(activated, activation, detail, {parts});
      graph_.set_inputs(node,
                        place == 0 ? std::vector{activated, parts} : std::vector{parts, activated});
      return;
    }
  }

  Rewriter& graph_;
  Ops ops_;
};

}  // namespace

void fuse_rotary(Rewriter& graph) { RotaryFuser(graph).run(); }
void fuse_projections(Rewriter& graph) { ProjectionFuser(graph).run(); }

}  // namespace narfast
