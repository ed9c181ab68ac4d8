// The table of passes, their names, and the loop to a fixed point.
#include "narfast/passes/canonicalize.h"

#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

#include "narfast/base/parallel.h"
#include "narfast/graph/attributes.h"
#include "narfast/graph/operators.h"
#include "narfast/passes/passes.h"

namespace narfast {
namespace {

constexpr auto kPasses = std::to_array<Pass>({
    {"fold_parameters", "drop what is computed from parameters and constants alone",
     fold_parameters},
    {"eliminate_identity", "drop identity, reshape, cast, dropout and the like",
     eliminate_identity},
    {"fuse_linear", "product with a weight matrix, then a bias: linear", fuse_linear},
    // Before the passes on permutations, as in exports.
    {"fold_batch_norm", "batch norm goes into the convolution before it", fold_batch_norm},
    {"drop_layout_permutes",
     "drop permutations of the memory layout alone (channels or batch first), join the others",
     drop_layout_permutes},
    {"merge_slices", "slices of one value become one split", merge_slices},
    {"fuse_activations", "x*sigmoid(x) and the like: silu, hardswish, mish, gelu, glu",
     fuse_activations},
    {"fuse_norms", "mean, variance, division: layer_norm, rms_norm, group_norm, l2_norm",
     fuse_norms},
    {"fuse_rotary", "x*cos + (-x2, x1)*sin: rotary_embedding", fuse_rotary},
    {"fuse_attention", "matmul, softmax, matmul: attention on the projections themselves",
     fuse_attention},
    {"fuse_pad", "padding goes into the convolution or pooling after it", fuse_pad},
    {"global_pool", "mean or maximum over all of space: global pooling", global_pool},
    {"pointwise_to_linear", "a dense 1x1 convolution of stride 1: linear", pointwise_to_linear},
    {"fuse_projections", "query, key and value of one value, gate and value: one linear",
     fuse_projections},
    {"eliminate_common_subexpressions",
     "equal activations, poolings or rotations of one value are one",
     eliminate_common_subexpressions},
    {"fuse_split_concat", "the parts of one value, joined again: roll or permute",
     fuse_split_concat},
    {"drop_concat_ratio", "widths beside a concatenation do not count", drop_concat_ratio},
    {"drop_stem_and_head_widths", "widths of stems and heads do not count",
     drop_stem_and_head_widths},
    {"drop_scalar_scale", "drop multiplication by, and addition of, a constant number",
     drop_scalar_scale},
    {"fuse_affine", "a learnt scale, then a learnt shift: affine", fuse_affine},
});

static_assert(kPasses.size() <= std::numeric_limits<PassMask>::digits);

// Former names of passes, which zoos and scripts may have stored. Deprecated: they are accepted,
// and appear nowhere else.
constexpr auto kFormerNames = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"drop_transparent", "eliminate_identity"},
    {"absorb_padding", "fuse_pad"},
    {"merge_twins", "eliminate_common_subexpressions"},
    {"fuse_parts", "fuse_split_concat"},
    {"drop_end_ratios", "drop_stem_and_head_widths"},
});

// Every change shrinks the graph or moves an operator up in a fixed order, so the rounds end. The
// bound is for graphs that were made to need as many rounds as they have nodes.
constexpr int kMaxRounds = 32;

std::string_view current_name(std::string_view name) {
  for (const auto& [former, current] : kFormerNames)
    if (former == name) return current;
  return name;
}

// The attributes for comparison: without the bits that only help passes or that some sources
// lack.
Attr compared(OpId op, Attr attr) {
  attr &= ~attr::kHeads.mask();
  if (operator_table()[op].category == Category::kElementwise && (attr & attr::kParamOperand) != 0)
    attr &= ~attr::kConstantClass.mask();
  return attr;
}

}  // namespace

std::span<const Pass> canonicalization_passes() { return kPasses; }

PassMask all_passes() {
  return ~PassMask{0} >> (std::numeric_limits<PassMask>::digits - kPasses.size());
}

PassMask pass_mask(const std::vector<std::string_view>& names) {
  PassMask mask = 0;
  for (std::string_view name : names) {
    const std::string_view current = current_name(name);
    const auto it = std::find_if(kPasses.begin(), kPasses.end(),
                                 [&](const Pass& pass) { return pass.name == current; });
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
  return canonicalize_with_origins(graph, passes).graph;
}

Rewriter::Result canonicalize_with_origins(const GraphView& graph, PassMask passes) {
  // A pass can uncover work for an earlier pass, so the list runs until nothing changes.
  Rewriter rewriter(graph);
  bool cleared = false;
  // A pass without work runs again only after another change.
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
    if (cleared) return rewriter.finish();
    for (NodeId node = 0; node < rewriter.size(); ++node)
      rewriter.set_attr(node, compared(rewriter.op(node), rewriter.attr(node)));
    cleared = true;
    if (!rewriter.changed()) return rewriter.finish();
    ++changes;
    rewriter.compact();
  }
  throw NotSettled("canonicalization still changes the graph after " + std::to_string(kMaxRounds) +
                   " rounds; choose fewer passes, or report the network");
}

CanonicalBatch canonicalize(const GraphBatchView& batch, const HyperparametersView& rows,
                            PassMask passes, int num_threads) {
  std::vector<Graph> graphs(batch.size());
  std::vector<Hyperparameters> fused(rows.empty() ? 0 : batch.size());
  parallel_for(batch.size(), num_threads, [&](std::size_t g) {
    try {
      Rewriter::Result result = canonicalize_with_origins(batch[g], passes);
      graphs[g] = std::move(result.graph);
      if (!rows.empty())
        fused[g] = fuse_hyperparameters(batch[g], rows, batch.node_ptr[g], graphs[g].view(),
                                        result.origins);
    } catch (const NotSettled& error) {
      throw NotSettled("graph " + std::to_string(g) + ": " + error.what());
    }
  });
  CanonicalBatch result{concatenate(graphs), {}};
  for (const Hyperparameters& part : fused) result.hyperparameters.append(part.view());
  return result;
}

}  // namespace narfast
