// The passes in one table, and those that are one rule each; the fusing ones are in fuse_*.cpp.
#include "narfast/passes/canonicalize.h"

#include <algorithm>
#include <array>
#include <map>
#include <stdexcept>
#include <string>
#include <tuple>

#include "narfast/base/parallel.h"
#include "narfast/graph/attributes.h"

namespace narfast {
namespace {

// Operators that the passes below look for, looked up once.
struct Ops {
  OpId input = operator_id("input"), conv = operator_id("conv"),
       conv_transpose = operator_id("conv_transpose"), deform_conv = operator_id("deform_conv"),
       linear = operator_id("linear"), matmul = operator_id("matmul"),
       batch_norm = operator_id("batch_norm"), permute = operator_id("permute"),
       add = operator_id("add"), slice = operator_id("slice"), split = operator_id("split"),
       mean = operator_id("mean"), max = operator_id("max"),
       global_avg_pool = operator_id("global_avg_pool"),
       global_max_pool = operator_id("global_max_pool"), pad = operator_id("pad"),
       max_pool = operator_id("max_pool"), avg_pool = operator_id("avg_pool"),
       adaptive_avg_pool = operator_id("adaptive_avg_pool"), sub = operator_id("sub"),
       mul = operator_id("mul"), div = operator_id("div"), concat = operator_id("concat"),
       roll = operator_id("roll"), affine = operator_id("affine"),
       rotary = operator_id("rotary_embedding");
};
const Ops& ops() {
  static const Ops looked_up;
  return looked_up;
}

// Whether batch norm or a bias that follows can be folded into the weights of this operator.
bool takes_folding(OpId op) {
  return op == ops().conv || op == ops().conv_transpose || op == ops().linear ||
         op == ops().deform_conv;
}

void fold_parameters(Rewriter& graph) {
  std::vector<bool> reached(static_cast<std::size_t>(graph.size()), false);
  bool any_source = false;
  for (NodeId node = 0; node < graph.size(); ++node)
    any_source |= has_trait(graph.op(node), trait::kSource);
  for (NodeId node = 0; node < graph.size(); ++node) {
    const auto& inputs = graph.inputs(node);
    const auto is_reached = [&](NodeId source) {
      return reached[static_cast<std::size_t>(source)];
    };
    reached[static_cast<std::size_t>(node)] = has_trait(graph.op(node), trait::kSource) ||
                                              (!any_source && inputs.empty()) ||
                                              std::any_of(inputs.begin(), inputs.end(), is_reached);
    if (!is_reached(node) || std::all_of(inputs.begin(), inputs.end(), is_reached)) continue;
    // An operand computed from parameters alone is itself a parameter of the operator.
    std::vector<NodeId> kept;
    std::copy_if(inputs.begin(), inputs.end(), std::back_inserter(kept), is_reached);
    Attr attr = graph.attr(node);
    if (!has_trait(graph.op(node), trait::kWeights)) {
      attr |= attr::kParamOperand;
      if (!is_reached(inputs.front()) && !has_trait(graph.op(node), trait::kCommutative))
        attr |= attr::kConstantFirst;
    }
    graph.set_attr(node, attr);
    graph.set_inputs(node, std::move(kept));
  }
}

void drop_transparent(Rewriter& graph) {
  for (NodeId node = 0; node < graph.size(); ++node) {
    graph.refresh(node);
    const auto& inputs = graph.inputs(node);
    const bool lone_concat = graph.op(node) == ops().concat && inputs.size() == 1 &&
                             !graph.has_attr(node, attr::kParamOperand | attr::kScalarOperand);
    if ((has_trait(graph.op(node), trait::kTransparent) && !inputs.empty()) || lone_concat)
      graph.replace_by(node, inputs.front());
  }
}

// Operators on maps, which have their channels at a fixed place.
bool works_on_maps(OpId op) {
  const Category category = operator_table()[op].category;
  return category == Category::kConvolution || category == Category::kPooling ||
         category == Category::kSpatial;
}

void drop_layout_permutes(Rewriter& graph) {
  std::vector<std::int32_t> map_readers(static_cast<std::size_t>(graph.size()), 0);
  for (NodeId node = 0; node < graph.size(); ++node)
    if (works_on_maps(graph.op(node)))
      for (NodeId source : graph.inputs(node)) ++map_readers[static_cast<std::size_t>(source)];
  for (NodeId node = 0; node < graph.size(); ++node) {
    graph.refresh(node);
    if (graph.op(node) != ops().permute || graph.inputs(node).size() != 1) continue;
    const NodeId source = graph.inputs(node).front();
    // From a map to tokens, or from tokens to a map: the operator on maps says where channels are.
    const bool at_a_map = works_on_maps(graph.op(source)) ||
                          map_readers[static_cast<std::size_t>(node)] == graph.uses(node);
    if (graph.has_attr(node, attr::kLayoutPermute) || at_a_map)
      graph.replace_by(node, source);
    else if (graph.op(source) == ops().permute)
      graph.set_inputs(node, graph.inputs(source));  // one permutation after another is one
  }
}

void merge_slices(Rewriter& graph) {
  // The first slice or split of each producer; the later ones join it.
  std::map<NodeId, NodeId> first;
  for (NodeId node = 0; node < graph.size(); ++node) {
    graph.refresh(node);
    const OpId op = graph.op(node);
    if ((op != ops().slice && op != ops().split) || graph.inputs(node).size() != 1) continue;
    const NodeId source = graph.inputs(node).front();
    const auto [it, is_first] = first.emplace(source, node);
    if (is_first) continue;
    graph.become(it->second, ops().split, 0, {source});
    graph.replace_by(node, it->second);
  }
}

void fuse_linear(Rewriter& graph) {
  for (NodeId node = 0; node < graph.size(); ++node) {
    graph.refresh(node);
    const auto& inputs = graph.inputs(node);
    if (inputs.size() != 1 || !graph.has_attr(node, attr::kParamOperand)) continue;
    if (graph.op(node) == ops().matmul && !graph.has_attr(node, attr::kConstantFirst)) {
      graph.become(node, ops().linear, 0, inputs);
    } else if (graph.op(node) == ops().add && graph.has_attr(node, attr::kConstantClassMask) &&
               takes_folding(graph.op(inputs.front())) && graph.uses(inputs.front()) == 1) {
      graph.replace_by(node, inputs.front());  // a bias: the operand is a vector
    }
  }
}

void fold_batch_norm(Rewriter& graph) {
  for (NodeId node = 0; node < graph.size(); ++node) {
    graph.refresh(node);
    if (graph.op(node) == ops().batch_norm && graph.inputs(node).size() == 1) {
      const NodeId source = graph.inputs(node).front();
      if (takes_folding(graph.op(source)) && graph.uses(source) == 1)
        graph.replace_by(node, source);
    } else if (graph.op(node) == ops().linear && graph.inputs(node).size() == 1) {
      // Before a projection (a classifier head), where there is no padding to spoil it.
      const NodeId norm = graph.inputs(node).front();
      if (graph.op(norm) == ops().batch_norm && graph.inputs(norm).size() == 1 &&
          graph.uses(norm) == 1)
        graph.set_inputs(node, graph.inputs(norm));
    }
  }
}

// A learnt scale, then a learnt shift. Norms and layers have taken theirs by now.
void fuse_affine(Rewriter& graph) {
  for (NodeId node = 0; node < graph.size(); ++node) {
    graph.refresh(node);
    if (graph.op(node) != ops().add || graph.inputs(node).size() != 1 ||
        !graph.has_attr(node, attr::kParamOperand))
      continue;
    const NodeId scale = graph.inputs(node).front();
    if (graph.op(scale) == ops().mul && graph.inputs(scale).size() == 1 &&
        graph.has_attr(scale, attr::kParamOperand) && graph.uses(scale) == 1)
      graph.become(node, ops().affine, 0, graph.inputs(scale));
  }
}

// All parts of one value put together again: two of them the other way round, or more in any order.
void fuse_parts(Rewriter& graph) {
  const auto is_part = [&](NodeId node) {
    return (graph.op(node) == ops().split || graph.op(node) == ops().slice) &&
           graph.inputs(node).size() == 1;
  };
  for (NodeId node = 0; node < graph.size(); ++node) {
    graph.refresh(node);
    const auto& inputs = graph.inputs(node);
    if (graph.op(node) == ops().concat && inputs.size() >= 2 && is_part(inputs[0]) &&
        !graph.has_attr(node, attr::kParamOperand) &&
        std::all_of(inputs.begin(), inputs.end(), [&](NodeId n) { return n == inputs[0]; })) {
      NodeId whole = graph.inputs(inputs[0]).front();
      const bool exchanged = inputs.size() == 2;
      while (!exchanged && is_part(whole)) whole = graph.inputs(whole).front();  // parts of parts
      graph.become(node, exchanged ? ops().roll : ops().permute, 0, {whole});
    }
    // Along two axes it takes two rolls, or one.
    if (graph.op(node) != ops().roll || graph.inputs(node).size() != 1) continue;
    const NodeId first = graph.inputs(node).front();
    if (graph.op(first) == ops().roll && graph.uses(first) <= 2)
      graph.set_inputs(node, graph.inputs(first));
  }
}

// Two equal operators without weights on one value are one: optimizers merge them.
void merge_twins(Rewriter& graph) {
  std::map<std::tuple<NodeId, OpId, Attr>, NodeId> first;
  for (NodeId node = 0; node < graph.size(); ++node) {
    graph.refresh(node);
    const OpId op = graph.op(node);
    const bool pure = operator_table()[op].category == Category::kPooling || op == ops().rotary ||
                      (has_trait(op, trait::kUnary) && !has_trait(op, trait::kWeights));
    if (!pure || graph.inputs(node).size() != 1) continue;
    const auto [it, is_first] =
        first.emplace(std::tuple(graph.inputs(node).front(), op, graph.attr(node)), node);
    if (!is_first) graph.replace_by(node, it->second);
  }
}

void absorb_padding(Rewriter& graph) {
  for (NodeId node = 0; node < graph.size(); ++node) {
    graph.refresh(node);
    const OpId op = graph.op(node);
    if (!takes_folding(op) && op != ops().max_pool && op != ops().avg_pool) continue;
    if (op == ops().linear || graph.inputs(node).empty()) continue;
    std::vector<NodeId> inputs = graph.inputs(node);
    const NodeId source = inputs.front();
    if (graph.op(source) != ops().pad || graph.inputs(source).size() != 1) continue;
    inputs.front() = graph.inputs(source).front();
    graph.set_inputs(node, std::move(inputs));
  }
}

void global_pool(Rewriter& graph) {
  for (NodeId node = 0; node < graph.size(); ++node) {
    graph.refresh(node);
    if (graph.op(node) == ops().mean && graph.inputs(node).size() == 1) {
      // One axis of space, then the other.
      const NodeId inner = graph.inputs(node).front();
      if (graph.op(inner) == ops().mean && graph.inputs(inner).size() == 1 &&
          graph.uses(inner) == 1 && graph.has_attr(node, attr::kLastAxis) &&
          !graph.has_attr(inner, attr::kLastAxis | attr::kSpaceAxes))
        graph.become(node, ops().global_avg_pool, 0, graph.inputs(inner));
    }
    if (!graph.has_attr(node, attr::kSpaceAxes)) continue;
    if (graph.op(node) == ops().mean || graph.op(node) == ops().adaptive_avg_pool)
      graph.become(node, ops().global_avg_pool, 0, graph.inputs(node));
    else if (graph.op(node) == ops().max)
      graph.become(node, ops().global_max_pool, 0, graph.inputs(node));
  }
}

void pointwise_to_linear(Rewriter& graph) {
  constexpr Attr plain = attr::kKernelOne | attr::kGroupsDense;
  constexpr Attr looked_at =
      attr::kKernelMask | attr::kStrided | attr::kGroupsMask | attr::kDilated;
  for (NodeId node = 0; node < graph.size(); ++node)
    if (graph.op(node) == ops().conv && (graph.attr(node) & looked_at) == plain)
      graph.become(node, ops().linear, graph.attr(node) & attr::kRatioMask, graph.inputs(node));
}

void drop_concat_ratio(Rewriter& graph) {
  // The value that each node computes from, through normalizations and activations; and which
  // values are, or will be, concatenated.
  const auto index = [](NodeId node) { return static_cast<std::size_t>(node); };
  std::vector<NodeId> origin(index(graph.size()));
  std::vector<bool> concatenated(index(graph.size()), false);
  for (NodeId node = 0; node < graph.size(); ++node) {
    const auto& inputs = graph.inputs(node);
    const Category category = operator_table()[graph.op(node)].category;
    const bool passes_on =
        (category == Category::kNormalization || category == Category::kActivation) &&
        inputs.size() == 1;
    origin[index(node)] = passes_on ? origin[index(inputs.front())] : node;
    // One value beside a learnt one, such as a class token, is longer, not wider.
    if (graph.op(node) != ops().concat || inputs.size() < 2) continue;
    concatenated[index(node)] = true;
    for (NodeId source : inputs) concatenated[index(origin[index(source)])] = true;
  }
  for (NodeId node = 0; node < graph.size(); ++node)
    if (takes_folding(graph.op(node)) && !graph.inputs(node).empty() &&
        concatenated[index(origin[index(graph.inputs(node).front())])])
      graph.set_attr(node, graph.attr(node) & ~attr::kRatioMask);
}

// How many classes a head tells apart belongs to a data set, and how wide the first layer is for
// three colours says nothing of the design.
void drop_end_ratios(Rewriter& graph) {
  std::vector<bool> read(static_cast<std::size_t>(graph.size()), false);
  for (NodeId node = 0; node < graph.size(); ++node)
    for (NodeId source : graph.inputs(node)) read[static_cast<std::size_t>(source)] = true;
  for (NodeId node = 0; node < graph.size(); ++node) {
    const auto& inputs = graph.inputs(node);
    const bool first = !inputs.empty() && graph.op(inputs.front()) == ops().input;
    if (takes_folding(graph.op(node)) && (first || !read[static_cast<std::size_t>(node)]))
      graph.set_attr(node, graph.attr(node) & ~attr::kRatioMask);
  }
}

void drop_scalar_scale(Rewriter& graph) {
  for (NodeId node = 0; node < graph.size(); ++node) {
    graph.refresh(node);
    const bool shifts = (graph.op(node) == ops().add || graph.op(node) == ops().sub) &&
                        graph.inputs(node).size() == 1 &&
                        graph.has_attr(node, attr::kScalarOperand) &&
                        !graph.has_attr(node, attr::kConstantFirst);
    if (const NodeId source = strip_scale(graph, node); source != node)
      graph.replace_by(node, source);
    else if (shifts)
      graph.replace_by(node, graph.inputs(node).front());
  }
}

constexpr auto kPasses = std::to_array<Pass>({
    {"fold_parameters", "drop what is computed from parameters and constants alone",
     fold_parameters},
    {"drop_transparent", "drop identity, reshape, cast, dropout and their like", drop_transparent},
    {"fuse_linear", "product with a weight matrix, then a bias: linear", fuse_linear},
    // Before permutations are looked at: exports have folded it by then.
    {"fold_batch_norm", "batch norm goes into the convolution before it", fold_batch_norm},
    {"drop_layout_permutes",
     "drop permutations of the memory layout alone (channels or batch first), join the others",
     drop_layout_permutes},
    {"merge_slices", "slices of one value become one split", merge_slices},
    {"fuse_activations", "x*sigmoid(x) and such: silu, hardswish, mish, gelu, glu",
     fuse_activations},
    {"fuse_norms", "mean, variance, division: layer_norm, rms_norm, group_norm, l2_norm",
     fuse_norms},
    {"fuse_rotary", "x*cos + (-x2, x1)*sin: rotary_embedding", fuse_rotary},
    {"fuse_attention", "matmul, softmax, matmul: attention on the projections themselves",
     fuse_attention},
    {"absorb_padding", "padding goes into the convolution or pooling after it", absorb_padding},
    {"global_pool", "mean or maximum over all of space: global pooling", global_pool},
    {"pointwise_to_linear", "a dense 1x1 convolution of stride 1: linear", pointwise_to_linear},
    {"fuse_projections", "query, key and value of one value, gate and value: one linear",
     fuse_projections},
    {"merge_twins", "equal activations, poolings or rotations of one value are one", merge_twins},
    {"fuse_parts", "parts of a value put together again: roll, or permute", fuse_parts},
    {"drop_concat_ratio", "where inputs pile up by concatenation, widths do not count",
     drop_concat_ratio},
    {"drop_end_ratios", "the widths of the first layer and of outputs do not count",
     drop_end_ratios},
    {"drop_scalar_scale", "drop multiplication by, and addition of, a constant number",
     drop_scalar_scale},
    {"fuse_affine", "a learnt scale, then a learnt shift: affine", fuse_affine},
});

constexpr int kMaxRounds = 16;
// Scales in a row that are looked through; without a bound a long row of them costs its square.
constexpr int kMaxScales = 8;

// The attributes that are compared: without bits that only help the passes, or that not every
// frontend can know.
Attr compared(OpId op, Attr attr) {
  attr &= ~attr::kHeadsMask;
  if (operator_table()[op].category == Category::kElementwise && (attr & attr::kParamOperand) != 0)
    attr &= ~attr::kConstantClassMask;
  return attr;
}

}  // namespace

NodeId strip_scale(const Rewriter& graph, NodeId node) {
  static const OpId mul = operator_id("mul"), div = operator_id("div");
  for (int step = 0; step < kMaxScales && (graph.op(node) == mul || graph.op(node) == div) &&
                     graph.inputs(node).size() == 1 && graph.has_attr(node, attr::kScalarOperand) &&
                     !(graph.op(node) == div && graph.has_attr(node, attr::kConstantFirst));
       ++step)
    node = graph.inputs(node).front();
  return node;
}

std::span<const Pass> canonicalization_passes() { return kPasses; }

PassMask pass_mask(const std::vector<std::string_view>& names) {
  PassMask mask = 0;
  for (std::string_view name : names) {
    const auto it = std::find_if(kPasses.begin(), kPasses.end(),
                                 [&](const Pass& pass) { return pass.name == name; });
    if (it == kPasses.end()) {
      std::string known;
      for (const Pass& pass : kPasses)
        known += (known.empty() ? "" : ", ") + std::string(pass.name);
      throw std::invalid_argument("no canonicalization pass is called '" + std::string(name) +
                                  "'; there are " + known);
    }
    mask |= PassMask{1} << (it - kPasses.begin());
  }
  return mask;
}

Graph canonicalize(const GraphView& graph, PassMask passes) {
  // A pass can uncover work for one before it, so the list is run until nothing changes: the result
  // is a fixed point. Every change shrinks the graph or moves an operator up in a fixed order, so
  // the loop ends; the bound is for graphs made to drag it out.
  Rewriter rewriter(graph);
  bool cleared = false;
  // A pass that found nothing to do is not run again before something else has changed.
  int changes = 1;
  std::array<int, kPasses.size()> settled_after{};
  for (int round = 0; round < kMaxRounds; ++round) {
    const int before = changes;
    for (std::size_t i = 0; i < kPasses.size(); ++i) {
      if ((passes >> i & 1) == 0 || settled_after[i] == changes) continue;
      kPasses[i].apply(rewriter);
      if (rewriter.changed())
        ++changes;
      else
        settled_after[i] = changes;
      rewriter.compact();
    }
    if (changes != before) continue;
    if (cleared) break;
    for (NodeId node = 0; node < rewriter.size(); ++node)
      rewriter.set_attr(node, compared(rewriter.op(node), rewriter.attr(node)));
    cleared = true;
    if (!rewriter.changed()) break;
    ++changes;
    rewriter.compact();
  }
  return rewriter.finish();
}

GraphBatch canonicalize(const GraphBatchView& batch, PassMask passes, int num_threads) {
  std::vector<Graph> graphs(batch.size());
  parallel_for(batch.size(), num_threads,
               [&](std::size_t g) { graphs[g] = canonicalize(batch[g], passes); });
  return concatenate(graphs);
}

}  // namespace narfast
