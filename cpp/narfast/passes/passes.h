// The passes, each in the file of its name or kind. What they do in one line each is in the table
// of canonicalize.cpp.
#pragma once

#include "narfast/graph/rewriter.h"

namespace narfast {

void fold_parameters(Rewriter& graph);
void eliminate_identity(Rewriter& graph);
void fuse_linear(Rewriter& graph);
void fold_batch_norm(Rewriter& graph);
void drop_layout_permutes(Rewriter& graph);
void merge_slices(Rewriter& graph);

// Subgraphs of primitive operators become the operator that people name.
void fuse_activations(Rewriter& graph);
void fuse_norms(Rewriter& graph);
void fuse_rotary(Rewriter& graph);
void fuse_attention(Rewriter& graph);

void fuse_pad(Rewriter& graph);
void global_pool(Rewriter& graph);
void pointwise_to_linear(Rewriter& graph);
void fuse_projections(Rewriter& graph);
void eliminate_common_subexpressions(Rewriter& graph);
void fuse_split_concat(Rewriter& graph);
void drop_concat_ratio(Rewriter& graph);          // drop_widths.cpp
void drop_stem_and_head_widths(Rewriter& graph);  // drop_widths.cpp
void drop_scalar_scale(Rewriter& graph);
void fuse_affine(Rewriter& graph);

}  // namespace narfast
