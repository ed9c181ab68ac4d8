// Projections of one value with a common reader become one: code bases write them apart or fused.
#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "narfast/graph/attributes.h"
#include "narfast/graph/operators.h"
#include "narfast/passes/passes.h"

namespace narfast {
namespace {

// Operators between a projection and attention: heads moved, a norm, a rotation, repeated keys.
constexpr std::size_t kMaxPath = 12;

// The widths of several projections of one value, side by side.
Attr add_ratios(const Rewriter& graph, const std::vector<NodeId>& projections) {
  double sum = 0.0;
  for (NodeId node : projections) {
    const int bin = static_cast<int>(attr::kRatio.unpack(graph.attr(node)));
    if (bin == 0) return 0;  // not known
    sum += std::exp2(bin - attr::kRatioOne);
  }
  const int bin = static_cast<int>(std::lround(std::log2(sum))) + attr::kRatioOne;
  const int largest = static_cast<int>(attr::kRatio.largest());
  return attr::kRatio.pack(static_cast<Attr>(std::clamp(bin, 1, largest)));
}

class ProjectionFuser {
 public:
  explicit ProjectionFuser(Rewriter& graph) : graph_(graph) {}

  void run() {
    for (NodeId node = 0; node < graph_.size(); ++node) {
      graph_.refresh(node);
      if (graph_.op(node) == "attention"_op)
        join_attention(node);
      else if (graph_.op(node) == "mul"_op && graph_.inputs(node).size() == 2)
        join_gate(node);
    }
  }

 private:
  [[nodiscard]] bool is_projection(NodeId node) const {
    return graph_.op(node) == "linear"_op && graph_.inputs(node).size() == 1;
  }
  [[nodiscard]] bool is_layout(NodeId node) const {
    const OpId op = graph_.op(node);
    return op == "split"_op || op == "slice"_op || op == "permute"_op || op == "repeat"_op;
  }
  // Whether attention looks through `node` for the projection behind it.
  [[nodiscard]] bool passes_on(NodeId node) const {
    const OpId op = graph_.op(node);
    return graph_.inputs(node).size() == 1 &&
           (is_layout(node) || op == "rotary_embedding"_op || op == "mul"_op ||
            operator_table()[op].category == Category::kNormalization);
  }

  void join_attention(NodeId node) {
    std::map<NodeId, int> readers;  // edges into the nodes between attention and its projections
    std::vector<NodeId> projections, layouts;
    std::set<NodeId> reaching;  // the nodes on a path to a projection
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
        siblings[{graph_.inputs(projection).front(),
                  graph_.attr(projection) & ~attr::kRatio.mask()}]
            .push_back(projection);
    for (auto& [kind, group] : siblings) {
      if (group.size() < 2) continue;
      const NodeId first = *std::min_element(group.begin(), group.end());
      graph_.set_attr(first, kind.second | add_ratios(graph_, group));
      for (NodeId projection : group)
        if (projection != first) graph_.join(projection, first);
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
      graph_.hand_over(gated, both);
      graph_.hand_over(value, both, true);
      graph_.hand_over(gate, activated);
      graph_.become(both, "linear"_op, (graph_.attr(gated) & ~attr::kRatio.mask()) | ratio,
                    graph_.inputs(gated));
      graph_.become(parts, "split"_op, 0, {both});
      graph_.become(activated, activation, detail, {parts});
      graph_.set_inputs(node,
                        place == 0 ? std::vector{activated, parts} : std::vector{parts, activated});
      return;
    }
  }

  Rewriter& graph_;
};

}  // namespace

void fuse_projections(Rewriter& graph) { ProjectionFuser(graph).run(); }

}  // namespace narfast
