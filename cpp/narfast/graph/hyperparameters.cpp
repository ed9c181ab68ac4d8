// Rows of hyperparameters: checking, reordering, and joining those of fused operators.
#include "narfast/graph/hyperparameters.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "narfast/graph/operators.h"

namespace narfast {
namespace {

using enum Hyperparameter;

constexpr std::size_t kKeys = kHyperparameterNames.size();
constexpr std::size_t kMostSides = 8;  // values of one key; no network has more

constexpr std::uint32_t bit(Hyperparameter what) { return 1U << static_cast<unsigned>(what); }
template <typename... Keys>
constexpr std::uint32_t bits(Keys... keys) {
  return (bit(keys) | ...);
}

constexpr std::uint32_t kWindow = bits(kKernel, kStride, kDilation, kPadding);
constexpr std::uint32_t kWidths = bits(kInChannels, kOutChannels);

// The keys that say something of an operator of this category, beside those of all operators.
constexpr std::uint32_t suitable(Category category) {
  switch (category) {
    case Category::kConvolution:
      return kWindow | kWidths | bit(kGroups);
    case Category::kLinear:
      return kWindow | kWidths | bit(kEinsum);  // a convolution of one element is linear
    case Category::kAttention:
      return bits(kHeads, kKeyHeads, kHeadSize);
    case Category::kNormalization:
      return bits(kNormSize, kNormGroups);
    case Category::kActivation:
      return bits(kSlope, kAxes);
    case Category::kPooling:
      return kWindow | bits(kOutputSize, kAxes);
    case Category::kReduction:
      return bit(kAxes);
    case Category::kSpatial:
      return bit(kOutputSize);
    case Category::kSource:
    case Category::kRecurrent:
      return kWidths;
    default:
      return 0;
  }
}
constexpr std::uint32_t kAlways = bits(kParams, kFused, kPath);

std::int64_t saturating_sum(std::int64_t a, std::int64_t b) {
  if (a > 0 && b > std::numeric_limits<std::int64_t>::max() - a)
    return std::numeric_limits<std::int64_t>::max();
  return a + std::max<std::int64_t>(b, 0);
}

// The row of one fused node while its origins are read; one after the other, to keep its memory.
class FusedRow {
 public:
  void begin(OpId op) {
    for (std::size_t key = 0; key < kKeys; ++key)
      if ((known_ >> key & 1) != 0) values_[key].clear();
    op_ = op;
    accepted_ = suitable(category(op)) | kAlways;
    known_ = 0;
  }

  void read(OpId op, bool beside, std::span<const std::uint8_t> keys,
            std::span<const std::int64_t> values) {
    const std::uint32_t known = known_;  // one operator may hold several values of a key
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto what = static_cast<Hyperparameter>(keys[i]);
      auto& held = values_[keys[i]];
      if ((accepted_ & bit(what)) == 0) continue;
      if (what == kFused) {
        add_swallowed(values[i]);
      } else if ((known & bit(what)) == 0) {
        held.push_back(values[i]);
      } else if (what == kParams || (what == kOutChannels && beside)) {
        held.front() = saturating_sum(held.front(), values[i]);
      } else if (what == kPadding && op == "pad"_op) {
        const std::size_t side =
            i - index(std::find(keys.begin(), keys.end(), keys[i]) - keys.begin());
        if (side < held.size()) held[side] = saturating_sum(held[side], values[i]);
      }
      known_ |= bit(what);
    }
    if (category(op) == Category::kNormalization && category(op_) != Category::kNormalization) {
      add_swallowed(op);
      known_ |= bit(kFused);
    }
  }

  void append_to(Hyperparameters& rows) const {
    for (std::size_t key = 0; key < kKeys; ++key)
      if ((known_ >> key & 1) != 0 && values_[key].size() <= kMostSides)
        for (const std::int64_t value : values_[key])
          rows.add(static_cast<Hyperparameter>(key), value);
    rows.ptr.push_back(static_cast<Offset>(rows.key.size()));
  }

 private:
  static Category category(OpId op) { return operator_table()[op].category; }

  void add_swallowed(std::int64_t op) {
    auto& swallowed = values_[static_cast<std::size_t>(kFused)];
    if (std::find(swallowed.begin(), swallowed.end(), op) == swallowed.end())
      swallowed.push_back(op);
  }

  OpId op_ = 0;
  std::uint32_t accepted_ = 0;
  std::uint32_t known_ = 0;
  std::array<std::vector<std::int64_t>, kKeys> values_;
};

}  // namespace

void Hyperparameters::end_row() {
  const auto begin = index(ptr.back());
  if (std::is_sorted(key.begin() + ptr.back(), key.end())) {
    ptr.push_back(static_cast<Offset>(key.size()));
    return;
  }
  std::vector<std::size_t> order(key.size() - begin);
  std::iota(order.begin(), order.end(), begin);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return key[a] < key[b]; });
  std::vector<std::pair<std::uint8_t, std::int64_t>> sorted;
  sorted.reserve(order.size());
  for (const std::size_t i : order) sorted.emplace_back(key[i], value[i]);
  for (std::size_t i = 0; i < sorted.size(); ++i)
    key[begin + i] = sorted[i].first, value[begin + i] = sorted[i].second;
  ptr.push_back(static_cast<Offset>(key.size()));
}

void Hyperparameters::append(const HyperparametersView& rows) {
  const Offset base = ptr.back();
  key.insert(key.end(), rows.key.begin(), rows.key.end());
  value.insert(value.end(), rows.value.begin(), rows.value.end());
  for (std::size_t i = 1; i < rows.ptr.size(); ++i) ptr.push_back(base + rows.ptr[i]);
}

void validate(const HyperparametersView& rows, Offset nodes) {
  const auto require = [](bool holds, const std::string& what) {
    if (!holds) throw InvalidGraph("hyperparameters: " + what);
  };
  require(rows.ptr.size() == index(nodes) + 1, "ptr must have one entry more than there are nodes");
  require(rows.key.size() == rows.value.size(), "key and value must be of equal length");
  require(rows.ptr.front() == 0 && rows.ptr.back() == static_cast<Offset>(rows.key.size()),
          "ptr must run from 0 to the number of values");
  for (std::size_t node = 0; node + 1 < rows.ptr.size(); ++node)
    require(rows.ptr[node] <= rows.ptr[node + 1], "ptr falls at node " + std::to_string(node));
  for (std::size_t node = 0; node + 1 < rows.ptr.size(); ++node) {
    for (auto i = index(rows.ptr[node]); i < index(rows.ptr[node + 1]); ++i) {
      const bool rises = i == index(rows.ptr[node]) || rows.key[i - 1] <= rows.key[i];
      require(rows.key[i] < kKeys && rises,
              "unknown or unordered key at node " + std::to_string(node));
    }
  }
}

Hyperparameters select_rows(const HyperparametersView& rows, std::span<const NodeId> old_id) {
  Hyperparameters result;
  result.ptr.reserve(old_id.size() + 1);
  for (const NodeId node : old_id) {
    for (auto i = index(rows.ptr[index(node)]); i < index(rows.ptr[index(node) + 1]); ++i) {
      result.key.push_back(rows.key[i]);
      result.value.push_back(rows.value[i]);
    }
    result.ptr.push_back(static_cast<Offset>(result.key.size()));
  }
  return result;
}

Hyperparameters fuse_hyperparameters(const GraphView& raw, const HyperparametersView& rows,
                                     Offset first, const GraphView& canonical,
                                     const Origins& origins) {
  Hyperparameters result;
  FusedRow fused;
  for (NodeId node = 0; node < canonical.num_nodes(); ++node) {
    fused.begin(canonical.op[index(node)]);
    const auto begin = index(origins.nodes.ptr[index(node)]);
    const auto sources = origins.nodes[node];
    for (std::size_t i = 0; i < sources.size(); ++i) {
      const auto row = index(first + sources[i]);
      const auto from = index(rows.ptr[row]), count = index(rows.ptr[row + 1]) - from;
      fused.read(raw.op[index(sources[i])], origins.beside[begin + i] != 0,
                 rows.key.subspan(from, count), rows.value.subspan(from, count));
    }
    fused.append_to(result);
  }
  return result;
}

}  // namespace narfast
