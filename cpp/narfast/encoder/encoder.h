// The encoder: canonical graphs in, vectors out.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "narfast/encoder/layers.h"
#include "narfast/encoder/motif_cache.h"
#include "narfast/encoder/settings.h"
#include "narfast/encoder/structural_features.h"
#include "narfast/graph/graph.h"

namespace narfast {

/// Default size of the motif cache: 50 MB at the default width.
inline constexpr std::size_t kMostMotifs = std::size_t{1} << 16;

/// Inference of `narfast.nn.model.ArchitectureModel`: mines motifs, encodes each distinct motif
/// once, encodes the macro graphs over them, and appends structural features.
///
/// A vector depends on the graph and on the weights alone, to the last bit: not on other graphs of
/// this or an earlier call, on threads, or on the processor.
class Encoder {
 public:
  /// `features` is needed where `settings.structural_dim` is above zero. Throws CorruptFile where a
  /// tensor is missing or has another shape than the settings promise.
  Encoder(EncoderSettings settings, const Weights& weights, std::optional<LabelIdf> features);

  [[nodiscard]] std::size_t dim() const { return settings_.deep_dim + settings_.structural_dim; }
  [[nodiscard]] MotifCache& motif_cache() const { return *cache_; }

  /// Writes float [graphs, dim]; of length 1 each where `normalize` is set. `batch` must be valid.
  /// Cost: mining and hashing, near-linear, and products for every distinct place of new motifs
  /// and of macro graphs.
  void encode(const GraphBatchView& batch, std::span<float> vectors, bool normalize,
              int num_threads) const;

 private:
  struct Mined;

  void encode_part(const GraphBatchView& batch, std::span<float> vectors, bool normalize) const;
  [[nodiscard]] std::vector<float> encode_motifs(const GraphBatchView& batch, const Mined& mined,
                                                 std::span<const std::size_t> motifs) const;
  [[nodiscard]] Rows encode_macros(const Mined& mined, std::span<const float> motif_vectors) const;
  [[nodiscard]] Rows merge(Rows read) const;

  EncoderSettings settings_;
  std::vector<std::int32_t> operator_row_;  // in the vocabulary, of each operator of the table
  std::vector<float> operator_table_;       // [vocabulary + 1, feature_dim]
  std::vector<float> attribute_table_;
  GraphLayers motif_layers_;
  GraphLayers macro_layers_;
  std::optional<Linear> motif_merge_;
  std::vector<float> merge_norm_weight_, merge_norm_bias_;
  std::optional<Linear> merge_first_, merge_last_;
  std::optional<LabelIdf> features_;
  std::vector<float> axes_;  // [labels, structural_axes]
  std::shared_ptr<MotifCache> cache_;
};

}  // namespace narfast
