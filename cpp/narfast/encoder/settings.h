// Settings and weights of an encoder, as the host program read them from its folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "narfast/motifs/mining.h"

namespace narfast {

enum class FeatureKind : std::uint8_t { kOneHot, kEmbedding };
enum class LayerKind : std::uint8_t { kGcn, kGat, kBidirectional };
enum class ReadoutKind : std::uint8_t { kMean, kSumLog, kMax };

/// A field of packed attributes, as an input of learnt features.
struct AttributeField {
  int shift = 0;
  int bits = 0;
};

/// Settings of an encoder; `narfast.encoder_config.EncoderConfig` describes each.
struct EncoderSettings {
  MiningOptions mining;
  FeatureKind features = FeatureKind::kEmbedding;
  std::vector<std::string> operators;  // the vocabulary; row 0 is for operators not in it
  std::vector<AttributeField> attribute_fields;
  LayerKind layer = LayerKind::kBidirectional;
  std::size_t feature_dim = 0;
  std::size_t motif_dim = 0;
  int motif_layers = 0;
  std::vector<ReadoutKind> motif_readouts;
  std::size_t macro_dim = 0;
  int macro_layers = 0;
  std::vector<ReadoutKind> macro_readouts;
  bool node_scalars = false;
  std::size_t deep_dim = 0;
  std::size_t merge_dim = 0;
  std::size_t structural_dim = 0;   // 0: no structural features
  std::size_t structural_axes = 0;  // principal axes that the deep part reads
  float structural_share = 0;       // part of the cosine that structural features decide
};

/// A tensor of weights: float32, row-major.
struct Tensor {
  std::span<const float> values;
  std::vector<std::size_t> shape;
};

/// Weights by name; records which were taken, to find leftovers.
class Weights {
 public:
  explicit Weights(std::map<std::string, Tensor> tensors) : tensors_(std::move(tensors)) {}

  /// Throws CorruptFile where the tensor is missing or has another shape.
  [[nodiscard]] std::span<const float> get(const std::string& name,
                                           const std::vector<std::size_t>& shape) const;

  /// Throws CorruptFile where a tensor was never asked for.
  void check_all_taken() const;

 private:
  std::map<std::string, Tensor> tensors_;
  mutable std::set<std::string> taken_;
};

}  // namespace narfast
