// Cuts a call into parts of a few networks. One thread takes a part from mining to vectors.
#include "narfast/encoder/encoder.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include "narfast/base/errors.h"
#include "narfast/base/parallel.h"
#include "narfast/graph/operators.h"
#include "narfast/motifs/coarsen.h"

namespace narfast {
namespace {

// Size of a part in operators: enough to share products, few enough for the cache of the processor.
constexpr Offset kPartNodes = 2048;
constexpr std::size_t kPartGraphs = 64;
constexpr float kSmallest = 1e-12f;  // lengths below count as this: zero vectors stay zero

/// Rows of the vocabulary by operator id, matched by name. A missing operator takes the row of
/// unknown/<category>, or row 0, so an encoder stays valid when the table grows.
std::vector<std::int32_t> rows_of_operators(const std::vector<std::string>& vocabulary) {
  std::unordered_map<std::string, std::int32_t> row;
  for (std::size_t i = 0; i < vocabulary.size(); ++i)
    row.emplace(vocabulary[i], static_cast<std::int32_t>(i) + 1);
  const auto find = [&](const std::string& name, std::int32_t otherwise) {
    const auto found = row.find(name);
    return found == row.end() ? otherwise : found->second;
  };
  std::vector<std::int32_t> rows;
  for (const OperatorInfo& info : operator_table())
    rows.push_back(find(std::string(info.name),
                        find("unknown/" + std::string(category_name(info.category)), 0)));
  return rows;
}

void normalize(const Kernels& k, float* x, std::size_t n, float length) {
  k.scale(length / std::max(std::sqrt(k.dot(x, x, n)), kSmallest), x, n);
}

std::size_t feature_width(const EncoderSettings& s) {
  return s.features == FeatureKind::kEmbedding ? s.feature_dim : s.operators.size() + 1;
}

std::size_t read_width(const EncoderSettings& s) {
  return s.macro_dim * s.macro_readouts.size() + s.structural_axes;
}

std::vector<float> copy(std::span<const float> values) { return {values.begin(), values.end()}; }

}  // namespace

/// All that follows from the graphs alone, without weights.
struct Encoder::Mined {
  Motifs motifs;
  MacroGraphs macros;
  std::vector<Hash128> distinct;            // motif ids, by first appearance
  std::vector<std::size_t> representative;  // an instance of each
  std::vector<std::size_t> motif;           // of each instance: position in `distinct`
  std::vector<std::int32_t> multiplicity;   // of each instance: in its own network
  std::vector<std::size_t> graph;           // of each instance

  Mined(const GraphBatchView& batch, const MiningOptions& options)
      : motifs(mine(batch, options, 1)),
        macros(coarsen(batch, motifs.node_instance, motifs.instance_ptr, 1)) {
    std::unordered_map<Hash128, std::size_t, Hash128Hasher> known;
    for (std::size_t i = 0; i < motifs.motif_id.size(); ++i) {
      const auto [at, added] = known.try_emplace(motifs.motif_id[i], distinct.size());
      if (added) {
        distinct.push_back(motifs.motif_id[i]);
        representative.push_back(i);
      }
      motif.push_back(at->second);
    }
    std::vector<std::int32_t> seen(distinct.size(), 0);
    multiplicity.resize(motif.size());
    graph.resize(motif.size());
    for (std::size_t g = 0; g < batch.size(); ++g) {
      const std::size_t begin = first(g), end = first(g + 1);
      for (std::size_t i = begin; i < end; ++i) ++seen[motif[i]];
      for (std::size_t i = begin; i < end; ++i) multiplicity[i] = seen[motif[i]];
      for (std::size_t i = begin; i < end; ++i) seen[motif[i]] = 0;
      std::fill(graph.begin() + motifs.instance_ptr[g], graph.begin() + motifs.instance_ptr[g + 1],
                g);
    }
  }

  [[nodiscard]] std::size_t first(std::size_t g) const { return index(motifs.instance_ptr[g]); }
  [[nodiscard]] std::int32_t size(std::size_t instance) const {
    return static_cast<std::int32_t>(macros.members()[instance].size());
  }
};

Encoder::Encoder(EncoderSettings settings, const Weights& weights, std::optional<LabelIdf> features)
    : settings_(std::move(settings)),
      operator_row_(rows_of_operators(settings_.operators)),
      motif_layers_(weights, "motif", settings_.layer, feature_width(settings_),
                    settings_.motif_dim, settings_.motif_layers),
      macro_layers_(weights, "macro", settings_.layer,
                    settings_.motif_dim + (settings_.node_scalars ? 2 : 0), settings_.macro_dim,
                    settings_.macro_layers),
      features_(std::move(features)),
      cache_(std::make_shared<MotifCache>(settings_.motif_dim, kMostMotifs)) {
  if (settings_.features == FeatureKind::kEmbedding) {
    std::size_t values = 0;
    for (const AttributeField& field : settings_.attribute_fields)
      values += std::size_t{1} << field.bits;
    operator_table_ = copy(weights.get("motif.features.operator.weight",
                                       {settings_.operators.size() + 1, settings_.feature_dim}));
    attribute_table_ =
        copy(weights.get("motif.features.attribute.table.weight", {values, settings_.feature_dim}));
  }
  const std::size_t motif_read = settings_.motif_dim * settings_.motif_readouts.size();
  if (settings_.motif_readouts.size() > 1)
    motif_merge_.emplace(weights, "motif.merge", motif_read, settings_.motif_dim);
  const std::size_t read = read_width(settings_);
  if (settings_.merge_dim > 0) {
    merge_norm_weight_ = copy(weights.get("macro.merge.0.weight", {read}));
    merge_norm_bias_ = copy(weights.get("macro.merge.0.bias", {read}));
    merge_first_.emplace(weights, "macro.merge.1", read, settings_.merge_dim);
    merge_last_.emplace(weights, "macro.merge.3", settings_.merge_dim, settings_.deep_dim);
  } else if (read != settings_.deep_dim || settings_.macro_readouts.size() > 1) {
    merge_last_.emplace(weights, "macro.merge", read, settings_.deep_dim);
  }
  if (features_)
    axes_ = copy(weights.get("wide_axes", {features_->size(), settings_.structural_axes}));
  weights.check_all_taken();
}

void Encoder::encode(const GraphBatchView& batch, std::span<float> vectors, bool normalize,
                     int num_threads) const {
  const auto threads = static_cast<std::size_t>(thread_count(num_threads));
  // Small calls are cut finer, to give every thread some work.
  const Offset most =
      std::clamp<Offset>(static_cast<Offset>(batch.op.size() / (4 * threads)), 1, kPartNodes);
  std::vector<std::size_t> begin{0};
  for (std::size_t g = 1; g < batch.size(); ++g)
    if (batch.node_ptr[g] - batch.node_ptr[begin.back()] >= most || g - begin.back() >= kPartGraphs)
      begin.push_back(g);
  const std::size_t parts = batch.size() == 0 ? 0 : begin.size();
  begin.push_back(batch.size());
  // The largest part first: started last, it would keep the other threads waiting.
  std::vector<std::size_t> order(parts);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return batch.node_ptr[begin[a + 1]] - batch.node_ptr[begin[a]] >
           batch.node_ptr[begin[b + 1]] - batch.node_ptr[begin[b]];
  });
  parallel_for(parts, num_threads, [&](std::size_t item) {
    const std::size_t part = order[item];
    const std::size_t first = begin[part], count = begin[part + 1] - first;
    const auto from = index(batch.node_ptr[first]);
    const auto nodes = index(batch.node_ptr[first + count]) - from;
    // Offsets of a batch start at zero; numbers local to a graph stay.
    std::vector<Offset> node_ptr(
        batch.node_ptr.begin() + static_cast<std::ptrdiff_t>(first),
        batch.node_ptr.begin() + static_cast<std::ptrdiff_t>(first + count + 1));
    for (Offset& offset : node_ptr) offset -= static_cast<Offset>(from);
    const GraphBatchView view{batch.op.subspan(from, nodes), batch.attr.subspan(from, nodes),
                              node_ptr, batch.in_ptr.subspan(from, nodes + 1), batch.in_src};
    encode_part(view, vectors.subspan(first * dim(), count * dim()), normalize);
  });
}

void Encoder::encode_part(const GraphBatchView& batch, std::span<float> vectors, bool unit) const {
  const Kernels& k = kernels();
  const Mined mined(batch, settings_.mining);
  const std::vector<float> motif_vectors = cache_->get(
      mined.distinct,
      [&](std::span<const std::size_t> motifs) { return encode_motifs(batch, mined, motifs); });
  Rows read = encode_macros(mined, motif_vectors);

  const std::size_t deep = settings_.deep_dim, structural = settings_.structural_dim;
  const std::size_t axes = settings_.structural_axes;
  std::vector<std::uint64_t> labels;
  std::vector<LabelIdf::Weighted> listed;
  for (std::size_t g = 0; structural > 0 && g < batch.size(); ++g) {
    structural_labels(batch[g], features_->kinds(), features_->operator_hash(), labels);
    features_->features(k, labels, batch[g].op.size(),
                        vectors.subspan(g * dim() + deep, structural), listed);
    if (axes == 0) continue;
    float* coordinates = read[g] + read_width(settings_) - axes;
    for (const auto& [row, weight] : listed)
      k.add_scaled(weight, axes_.data() + index(row) * axes, coordinates, axes);
    normalize(k, coordinates, axes, std::sqrt(static_cast<float>(axes)));
  }

  const Rows merged = merge(std::move(read));
  const float share = settings_.structural_share;
  for (std::size_t g = 0; g < batch.size(); ++g) {
    float* vector = vectors.data() + g * dim();
    std::copy(merged[g], merged[g] + deep, vector);
    if (structural > 0) {
      // Both parts have fixed lengths, so that a cosine is their weighted mean.
      normalize(k, vector, deep, std::sqrt(1.0f - share));
      normalize(k, vector + deep, structural, std::sqrt(share));
    }
    if (unit) normalize(k, vector, dim(), 1.0f);
  }
}

std::vector<float> Encoder::encode_motifs(const GraphBatchView& batch, const Mined& mined,
                                          std::span<const std::size_t> motifs) const {
  const Kernels& k = kernels();
  const bool learnt = settings_.features == FeatureKind::kEmbedding;
  // The induced subgraphs of one instance of each motif, side by side.
  Links links;
  std::vector<Hash128> features;
  std::vector<std::int32_t> row, segment{0};
  std::vector<Attr> attr;
  for (const std::size_t motif : motifs) {
    const std::size_t instance = mined.representative[motif];
    const GraphView graph = batch[mined.graph[instance]];
    const auto members = mined.macros.members()[instance];
    const auto first = static_cast<std::int32_t>(row.size());
    for (const NodeId node : members) {
      for (const NodeId source : graph.inputs(node)) {
        const auto at = std::lower_bound(members.begin(), members.end(), source);
        if (at != members.end() && *at == source)
          links.in.values.push_back(first + static_cast<std::int32_t>(at - members.begin()));
      }
      links.in.end_row();
      row.push_back(operator_row_[graph.op[index(node)]]);
      attr.push_back(graph.attr[index(node)]);
      features.push_back(
          hash_word((static_cast<std::uint64_t>(row.back()) << 32) | (learnt ? attr.back() : 0)));
    }
    segment.push_back(static_cast<std::int32_t>(row.size()));
  }
  links.fill_outgoing();
  motif_layers_.refine_features(links, features);
  const std::vector<Coloring> colorings = refine_colors(features, links, motif_layers_.count());

  const std::size_t width = feature_width(settings_);
  Rows x(colorings.front().num_colors(), width);
  for (std::size_t color = 0; color < x.size(); ++color) {
    const std::size_t node = index(colorings.front().representative[color]);
    if (!learnt) {
      x[color][row[node]] = 1.0f;
      continue;
    }
    k.add(operator_table_.data() + index(row[node]) * width, x[color], width);
    std::size_t offset = 0;
    for (const AttributeField& field : settings_.attribute_fields) {
      const std::size_t values = std::size_t{1} << field.bits;
      const std::size_t value = (attr[node] >> field.shift) & (values - 1);
      k.add(attribute_table_.data() + (offset + value) * width, x[color], width);
      offset += values;
    }
  }
  x = motif_layers_.apply(k, std::move(x), links, colorings);

  Rows read(motifs.size(), settings_.motif_dim * settings_.motif_readouts.size());
  for (std::size_t m = 0; m < motifs.size(); ++m)
    read_out(k, settings_.motif_readouts, x, settings_.motif_dim, colorings.back(), segment[m],
             segment[m + 1], read[m]);
  if (motif_merge_) read = motif_merge_->apply(k, read);
  std::vector<float> vectors;
  for (std::size_t m = 0; m < motifs.size(); ++m)
    vectors.insert(vectors.end(), read[m], read[m] + settings_.motif_dim);
  return vectors;
}

Rows Encoder::encode_macros(const Mined& mined, std::span<const float> motif_vectors) const {
  const Kernels& k = kernels();
  const std::size_t networks = mined.motifs.instance_ptr.size() - 1;
  Links links;
  std::vector<Hash128> features;
  for (std::size_t i = 0; i < mined.motif.size(); ++i) {
    const auto first = static_cast<std::int32_t>(mined.first(mined.graph[i]));
    for (const std::int32_t source : mined.macros.edges()[i])
      links.in.values.push_back(first + source);
    links.in.end_row();
    const Hash128 id = mined.distinct[mined.motif[i]];
    const auto times = static_cast<std::uint64_t>(mined.multiplicity[i]);
    features.push_back(settings_.node_scalars ? combine(id, hash_word(times)) : id);
  }
  links.fill_outgoing();
  macro_layers_.refine_features(links, features);
  const std::vector<Coloring> colorings = refine_colors(features, links, macro_layers_.count());

  const std::size_t dim = settings_.motif_dim;
  Rows x(colorings.front().num_colors(), dim + (settings_.node_scalars ? 2 : 0));
  for (std::size_t color = 0; color < x.size(); ++color) {
    const std::size_t instance = index(colorings.front().representative[color]);
    const float* vector = motif_vectors.data() + mined.motif[instance] * dim;
    std::copy(vector, vector + dim, x[color]);
    if (!settings_.node_scalars) continue;
    x[color][dim] = static_cast<float>(mined.size(instance));
    x[color][dim + 1] = static_cast<float>(mined.multiplicity[instance]);
    k.log1p(x[color] + dim, 2);
  }
  x = macro_layers_.apply(k, std::move(x), links, colorings);

  Rows read(networks, read_width(settings_));
  for (std::size_t g = 0; g < networks; ++g)
    read_out(k, settings_.macro_readouts, x, settings_.macro_dim, colorings.back(),
             static_cast<std::int32_t>(mined.first(g)),
             static_cast<std::int32_t>(mined.first(g + 1)), read[g]);
  return read;
}

Rows Encoder::merge(Rows read) const {
  const Kernels& k = kernels();
  if (!merge_last_) return read;
  if (!merge_first_) return merge_last_->apply(k, read);
  for (std::size_t g = 0; g < read.size(); ++g)
    k.layer_norm(read[g], merge_norm_weight_.data(), merge_norm_bias_.data(),
                 merge_norm_weight_.size());
  Rows hidden = merge_first_->apply(k, read);
  for (std::size_t g = 0; g < hidden.size(); ++g) k.gelu(hidden[g], settings_.merge_dim);
  return merge_last_->apply(k, hidden);
}

}  // namespace narfast
