// Labels by hashing, distinct ones by a small table, directions by bits of the label.
#include "narfast/encoder/structural_features.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "narfast/base/errors.h"
#include "narfast/graph/hash128.h"

namespace narfast {
namespace {

// Weight of single nodes against surroundings and n-grams: they say less about a design. Chosen on
// the validation families.
constexpr double kSingleNodeLength = 0.4;
constexpr int kBucketBits = 13;  // few labels begin with the same bits

// Salts of the hashes: without them, equal numbers in different rows would be equal labels.
constexpr std::uint64_t kIncoming = 0xA5A5A5A5u, kOutgoing = 0x5A5A5A5Au, kNgram = 0x3C3C3C3Cu;

/// Turns the bits of every byte around: directions were first drawn with the highest bit first.
constexpr std::uint64_t reverse_in_bytes(std::uint64_t x) {
  x = ((x >> 1) & 0x5555555555555555u) | ((x & 0x5555555555555555u) << 1);
  x = ((x >> 2) & 0x3333333333333333u) | ((x & 0x3333333333333333u) << 2);
  return ((x >> 4) & 0x0F0F0F0F0F0F0F0Fu) | ((x & 0x0F0F0F0F0F0F0F0Fu) << 4);
}

void refine(const GraphView& graph, std::span<const std::uint64_t> before,
            std::span<std::uint64_t> after, std::vector<std::uint64_t>& outgoing) {
  // Sums of mixed labels are hashes of multisets: the order of operands does not count.
  const auto nodes = static_cast<std::size_t>(graph.num_nodes());
  outgoing.assign(nodes, 0);
  for (std::size_t v = 0; v < nodes; ++v) {
    const std::uint64_t as_target = mix64(before[v] ^ kOutgoing);
    std::uint64_t incoming = 0;
    for (const NodeId source : graph.inputs(static_cast<NodeId>(v))) {
      incoming += mix64(before[static_cast<std::size_t>(source)] ^ kIncoming);
      outgoing[static_cast<std::size_t>(source)] += as_target;
    }
    after[v] = before[v] ^ mix64(incoming);
  }
  for (std::size_t v = 0; v < nodes; ++v) after[v] = mix64(after[v] ^ mix64(mix64(outgoing[v])));
}

/// The distinct labels of a row, ascending, without 0; `table` is scratch.
void distinct(std::span<const std::uint64_t> row, std::vector<std::uint64_t>& table,
              std::vector<std::uint64_t>& found) {
  const std::size_t mask = std::bit_ceil(2 * row.size() + 1) - 1;
  table.assign(mask + 1, 0);
  found.clear();
  for (const std::uint64_t label : row) {
    if (label == 0) continue;
    std::size_t slot = static_cast<std::size_t>(label) & mask;
    while (table[slot] != label && table[slot] != 0) slot = (slot + 1) & mask;
    if (table[slot] == 0) found.push_back(label);
    table[slot] = label;
  }
  std::sort(found.begin(), found.end());
}

}  // namespace

void structural_labels(const GraphView& graph, const LabelKinds& kinds,
                       std::span<const std::uint64_t> operator_hash,
                       std::vector<std::uint64_t>& labels) {
  const auto nodes = static_cast<std::size_t>(graph.num_nodes());
  labels.assign(kinds.rows() * nodes, 0);
  const auto row = [&](int number) {
    return std::span(labels).subspan(static_cast<std::size_t>(number) * nodes, nodes);
  };
  std::vector<std::uint64_t> outgoing;
  for (int kind = 0; kind < 2; ++kind) {
    const int first = kind * (kinds.hops + 1);
    for (std::size_t v = 0; v < nodes; ++v) {
      const std::uint64_t detail = kind == 1 ? std::uint64_t{graph.attr[v]} + 1 : 0;
      row(first)[v] = mix64(operator_hash[graph.op[v]] ^ mix64(detail));
    }
    for (int hop = 1; hop <= kinds.hops; ++hop)
      refine(graph, row(first + hop - 1), row(first + hop), outgoing);
  }
  for (std::size_t v = 0; v < nodes; ++v) {
    std::uint64_t ngram = mix64(operator_hash[graph.op[v]] ^ kNgram);
    for (int length = 2; length <= kinds.ngrams; ++length) {
      const std::size_t last = v + static_cast<std::size_t>(length) - 1;
      if (last >= nodes) break;
      ngram =
          mix64(ngram) ^ mix64(operator_hash[graph.op[last]] + static_cast<std::uint64_t>(length));
      row(2 * (kinds.hops + 1) + length - 2)[v] = mix64(ngram);
    }
  }
}

LabelIdf::LabelIdf(LabelKinds kinds, std::vector<std::uint64_t> operator_hash,
                   std::vector<std::uint64_t> label, std::vector<float> idf)
    : kinds_(kinds),
      operator_hash_(std::move(operator_hash)),
      label_(std::move(label)),
      idf_(std::move(idf)) {
  if (label_.size() != idf_.size() ||
      std::adjacent_find(label_.begin(), label_.end(), std::greater_equal<>()) != label_.end() ||
      !std::all_of(idf_.begin(), idf_.end(), [](float x) { return x > 0 && std::isfinite(x); }))
    throw CorruptFile("the labels of structural features are damaged");
  for (const float value : idf_) rarest_ = std::max(rarest_, value);
  bucket_.resize((std::size_t{1} << kBucketBits) + 1);
  for (std::size_t b = 0; b + 1 < bucket_.size(); ++b)
    bucket_[b] = static_cast<std::uint32_t>(
        std::lower_bound(label_.begin(), label_.end(), std::uint64_t{b} << (64 - kBucketBits)) -
        label_.begin());
  bucket_.back() = static_cast<std::uint32_t>(label_.size());
}

std::int64_t LabelIdf::find(std::uint64_t label) const {
  // Labels are hashes, evenly spread: a few of them share their first bits.
  const auto bucket = static_cast<std::size_t>(label >> (64 - kBucketBits));
  for (std::size_t at = bucket_[bucket]; at < bucket_[bucket + 1]; ++at)
    if (label_[at] == label) return static_cast<std::int64_t>(at);
  return -1;
}

void LabelIdf::features(const Kernels& k, std::span<const std::uint64_t> labels, std::size_t nodes,
                        std::span<float> vector, std::vector<Weighted>& listed) const {
  std::fill(vector.begin(), vector.end(), 0.0f);
  listed.clear();
  std::vector<std::uint64_t> table, found;
  std::vector<float> direction(vector.size());
  for (std::size_t row = 0; row < kinds_.rows(); ++row) {
    const bool single = row == 0 || row == static_cast<std::size_t>(kinds_.hops) + 1;
    const double length = single ? kSingleNodeLength : 1.0;
    distinct(labels.subspan(row * nodes, nodes), table, found);
    std::fill(direction.begin(), direction.end(), 0.0f);
    const std::size_t first_listed = listed.size();
    double square = 0, square_listed = 0;
    for (const std::uint64_t label : found) {
      const std::int64_t at = find(label);
      const float weight = at < 0 ? rarest_ : idf_[static_cast<std::size_t>(at)];
      const double squared = static_cast<double>(weight) * static_cast<double>(weight);
      square += squared;
      if (at >= 0) {
        square_listed += squared;
        listed.push_back({at, weight});
      }
      std::uint64_t signs = label;
      for (std::size_t i = 0; i < direction.size(); i += 64) {
        signs = mix64(signs);
        k.add_signed(reverse_in_bytes(signs), weight, direction.data() + i,
                     std::min<std::size_t>(64, direction.size() - i));
      }
    }
    if (square > 0)
      k.add_scaled(
          static_cast<float>(length / std::sqrt(square * static_cast<double>(vector.size()))),
          direction.data(), vector.data(), vector.size());
    for (std::size_t i = first_listed; i < listed.size(); ++i)
      listed[i].weight = static_cast<float>(static_cast<double>(listed[i].weight) * length /
                                            std::sqrt(square_listed));
  }
  std::sort(listed.begin(), listed.end(),
            [](const Weighted& a, const Weighted& b) { return a.row < b.row; });
}

}  // namespace narfast
