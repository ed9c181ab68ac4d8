// Finds attention written out as matmul, softmax, matmul, and joins it to its projections.
#include "narfast/graph/attributes.h"
#include "narfast/graph/operators.h"
#include "narfast/passes/matchers.h"
#include "narfast/passes/passes.h"

namespace narfast {
namespace {

constexpr NodeId kNone = -1;
// Largest number of operators between scores and softmax: scale, temperature, mask, position bias.
constexpr int kMaxScoreOperators = 16;

class AttentionFuser {
 public:
  explicit AttentionFuser(Rewriter& graph)
      : graph_(graph), origin_(static_cast<std::size_t>(graph.size())) {}

  void run() {
    for (NodeId node = 0; node < graph_.size(); ++node) {
      graph_.refresh(node);
      origin_[static_cast<std::size_t>(node)] =
          is_layout(node) ? origin_[static_cast<std::size_t>(graph_.inputs(node).front())] : node;
      if (graph_.op(node) == "matmul"_op && graph_.inputs(node).size() == 2)
        try_decomposed(node);
      else if (graph_.op(node) == "attention"_op)
        join(node, graph_.inputs(node));
      else if (graph_.op(node) == "permute"_op && graph_.inputs(node).size() == 1)
        try_drop_permute(node);
    }
  }

 private:
  void try_decomposed(NodeId node) {
    NodeId weights = graph_.inputs(node)[0];
    const NodeId value = graph_.inputs(node)[1];
    // Einsum permutes its operands; exports replace NaN in fully masked rows.
    const auto passes_on = [&](NodeId n) {
      return (graph_.op(n) == "permute"_op || graph_.op(n) == "where"_op) &&
             graph_.inputs(n).size() == 1;
    };
    for (int step = 0; step < kMaxScoreOperators && passes_on(weights); ++step)
      weights = graph_.inputs(weights).front();
    if (graph_.op(weights) != "softmax"_op || graph_.inputs(weights).size() != 1) return;
    int budget = kMaxScoreOperators;
    const NodeId scores = find_scores(graph_.inputs(weights).front(), budget);
    if (scores == kNone) return;
    std::vector<NodeId> inputs = graph_.inputs(scores);
    inputs.push_back(value);
    join(node, std::move(inputs));
  }

  // The product of queries and keys under the mask, bias and scale; kNone if there is none.
  NodeId find_scores(NodeId node, int& budget) const {
    if (graph_.op(node) == "matmul"_op) {
      // The queries may be learnt (attention pooling): then the keys are the only operand.
      const bool learnt_queries =
          graph_.inputs(node).size() == 1 && graph_.has_attr(node, attr::kConstantFirst);
      return graph_.inputs(node).size() == 2 || learnt_queries ? node : kNone;
    }
    const OpId op = graph_.op(node);
    const bool between = op == "add"_op || op == "sub"_op || op == "mul"_op || op == "div"_op ||
                         op == "where"_op || op == "clip"_op || op == "permute"_op;
    if (!between || --budget < 0) return kNone;
    for (NodeId source : graph_.inputs(node))
      if (const NodeId found = find_scores(source, budget); found != kNone) return found;
    return kNone;
  }

  // Turns `node` into attention on the values behind its query, key and value.
  void join(NodeId node, std::vector<NodeId> inputs) {
    if (inputs.size() > 3) inputs.resize(3);
    for (NodeId& source : inputs) source = origin_[static_cast<std::size_t>(source)];
    graph_.become(node, "attention"_op, 0, std::move(inputs));
  }

  // Whether `node` only arranges or scales its input.
  [[nodiscard]] bool is_layout(NodeId node) const {
    const OpId op = graph_.op(node);
    return graph_.inputs(node).size() == 1 &&
           (op == "permute"_op || op == "split"_op || op == "slice"_op ||
            strip_scale(graph_, node) != node);
  }

  // Heads are moved back beside their channels after attention.
  void try_drop_permute(NodeId node) {
    const NodeId source = graph_.inputs(node).front();
    if (graph_.op(source) == "attention"_op && graph_.uses(source) == 1)
      graph_.replace_by(node, source);
  }

  Rewriter& graph_;
  std::vector<NodeId> origin_;  // per node: the value it arranges, through any number of steps
};

}  // namespace

void fuse_attention(Rewriter& graph) { AttentionFuser(graph).run(); }

}  // namespace narfast
