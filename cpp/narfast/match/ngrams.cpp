// Counting of n-grams in numbers of labels, and their lists of rows by count, prefix sum and fill.
#include "narfast/match/ngrams.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <unordered_map>
#include <utility>

#include "narfast/base/errors.h"
#include "narfast/base/parallel.h"
#include "narfast/graph/hash128.h"

namespace narfast {
namespace {

constexpr std::size_t kMaxNgrams = 1'000'000;
constexpr std::uint64_t kMaxPaths = 64'000'000;
constexpr std::uint64_t kMaxCount = std::numeric_limits<std::uint32_t>::max();

using LabelNumber = std::uint32_t;

struct NgramHasher {
  std::size_t operator()(const Ngram& ngram) const {
    std::uint64_t hash = 0;
    for (const Label label : ngram) hash = mix64(hash ^ label);
    return static_cast<std::size_t>(hash);
  }
};

struct KeyHasher {
  std::size_t operator()(std::uint64_t key) const { return static_cast<std::size_t>(mix64(key)); }
};

/// Counts n-grams as numbers: labels are numbered from 1 on, 0 stands for none, and three of them
/// fit into 64 bits for graphs of up to kMaxNodes.
class Counter {
 public:
  Counter(const GraphView& graph, MatchLevel level) : graph_(graph), number_(graph.op.size()) {
    std::vector<Label> all(graph.op.size());
    for (std::size_t i = 0; i < all.size(); ++i)
      all[i] = label_at(make_label(graph.op[i], graph.attr[i]), level);
    label_ = all;
    std::sort(label_.begin(), label_.end());
    label_.erase(std::unique(label_.begin(), label_.end()), label_.end());
    for (std::size_t i = 0; i < all.size(); ++i)
      number_[i] = static_cast<LabelNumber>(
          1 + (std::lower_bound(label_.begin(), label_.end(), all[i]) - label_.begin()));
    base_ = label_.size() + 1;
  }

  NgramCounts counted() {
    NgramCounts result;
    for (const LabelNumber label : number_) add(label, 0, 0, 1);
    const std::unordered_map<std::uint64_t, std::uint64_t, KeyHasher> operators = count_;
    if (!count_edges_and_paths()) {
      result.partial = true;
      count_ = operators;
    }
    // Labels ascend with their numbers, but none is the largest label and the least number.
    std::vector<std::pair<Ngram, std::uint32_t>> sorted;
    sorted.reserve(count_.size());
    for (const auto& [key, count] : count_)
      sorted.emplace_back(labels_of(key), static_cast<std::uint32_t>(std::min(count, kMaxCount)));
    std::sort(sorted.begin(), sorted.end());
    for (const auto& [ngram, count] : sorted) {
      result.ngram.push_back(ngram);
      result.count.push_back(count);
    }
    return result;
  }

 private:
  using Runs = std::vector<std::pair<LabelNumber, std::uint64_t>>;

  bool count_edges_and_paths() {
    const Consumers readers = consumers_of(graph_);
    std::vector<LabelNumber> labels;
    Runs before, behind;
    std::uint64_t paths = 0;
    for (NodeId node = 0; node < graph_.num_nodes(); ++node) {
      const LabelNumber middle = number_[index(node)];
      find_runs(graph_.inputs(node), labels, before);
      find_runs(readers[node], labels, behind);
      for (const auto& [label, times] : before) add(label, middle, 0, times);
      paths += before.size() * behind.size();
      if (paths > kMaxPaths) return false;
      for (const auto& [first, times] : before) {
        for (const auto& [last, more] : behind) add(first, middle, last, times * more);
        if (count_.size() > kMaxNgrams) return false;
      }
    }
    return count_.size() <= kMaxNgrams;
  }

  void find_runs(std::span<const NodeId> nodes, std::vector<LabelNumber>& labels,
                 Runs& runs) const {
    labels.clear();
    runs.clear();
    for (const NodeId node : nodes) labels.push_back(number_[index(node)]);
    std::sort(labels.begin(), labels.end());
    for (const LabelNumber label : labels) {
      if (runs.empty() || runs.back().first != label) runs.emplace_back(label, 0);
      ++runs.back().second;
    }
  }

  void add(LabelNumber first, LabelNumber second, LabelNumber third, std::uint64_t times) {
    std::uint64_t& count = count_[(third * base_ + second) * base_ + first];
    count = std::min(count + times, kMaxCount);
  }

  [[nodiscard]] Ngram labels_of(std::uint64_t key) const {
    const auto label = [&](std::uint64_t number) {
      return number == 0 ? kNoLabel : label_[number - 1];
    };
    return {label(key % base_), label(key / base_ % base_), label(key / base_ / base_)};
  }

  GraphView graph_;
  std::vector<Label> label_;
  std::vector<LabelNumber> number_;  // of each node
  std::uint64_t base_ = 1;
  std::unordered_map<std::uint64_t, std::uint64_t, KeyHasher> count_;
};

Ngram ngram_at(const NgramIndex& index, std::size_t number, MatchLevel level) {
  Ngram ngram;
  for (std::size_t place = 0; place < ngram.size(); ++place) {
    const std::int32_t label = index.ngram[3 * number + place];
    ngram[place] = label < 0 ? kNoLabel : label_at(index.label[narfast::index(label)], level);
  }
  return ngram;
}

int length(const Ngram& ngram) { return ngram[1] == kNoLabel ? 1 : ngram[2] == kNoLabel ? 2 : 3; }

}  // namespace

NgramCounts count_ngrams(const GraphView& graph, MatchLevel level) {
  return Counter(graph, level).counted();
}

NgramIndex build_ngram_index(const GraphBatchView& batch, int num_threads) {
  std::vector<NgramCounts> counted(batch.size());
  parallel_for(batch.size(), num_threads, [&](std::size_t row) {
    counted[row] = count_ngrams(batch[row], MatchLevel::kExact);
  });
  NgramIndex result;
  result.rows = static_cast<std::int32_t>(batch.size());
  // Number the n-grams in ascending order.
  std::unordered_map<Ngram, std::int32_t, NgramHasher> number;
  for (const NgramCounts& graph : counted)
    for (const Ngram& ngram : graph.ngram) number.try_emplace(ngram, 0);
  std::vector<Ngram> ngrams;
  ngrams.reserve(number.size());
  for (const auto& entry : number) ngrams.push_back(entry.first);
  std::sort(ngrams.begin(), ngrams.end());
  for (const Ngram& ngram : ngrams)
    if (ngram[1] == kNoLabel) result.label.push_back(ngram[0]);
  for (std::size_t i = 0; i < ngrams.size(); ++i) {
    number[ngrams[i]] = static_cast<std::int32_t>(i);
    for (const Label label : ngrams[i]) {
      const auto at = std::lower_bound(result.label.begin(), result.label.end(), label);
      result.ngram.push_back(
          label == kNoLabel ? -1 : static_cast<std::int32_t>(at - result.label.begin()));
    }
  }
  result.ptr.assign(ngrams.size() + 1, 0);
  for (const NgramCounts& graph : counted)
    for (const Ngram& ngram : graph.ngram) ++result.ptr[index(number[ngram]) + 1];
  std::partial_sum(result.ptr.begin(), result.ptr.end(), result.ptr.begin());
  std::vector<Offset> next(result.ptr.begin(), result.ptr.end() - 1);
  result.row.resize(index(result.ptr.back()));
  result.count.resize(result.row.size());
  for (std::size_t row = 0; row < counted.size(); ++row) {
    if (counted[row].partial) result.partial.push_back(static_cast<std::int32_t>(row));
    for (std::size_t i = 0; i < counted[row].ngram.size(); ++i) {
      const std::size_t at = index(next[index(number[counted[row].ngram[i]])]++);
      result.row[at] = static_cast<std::int32_t>(row);
      result.count[at] = counted[row].count[i];
    }
  }
  return result;
}

void validate(const NgramIndex& index) {
  const auto need = [](bool holds, const char* what) {
    if (!holds) throw CorruptFile(std::string("index of n-grams: ") + what);
  };
  const auto ascend = [](const auto& values) {
    return std::adjacent_find(values.begin(), values.end(),
                              [](auto a, auto b) { return a >= b; }) == values.end();
  };
  const std::size_t ngrams = index.ngram.size() / 3;
  const auto labels = static_cast<std::int64_t>(index.label.size());
  need(index.rows >= 0, "negative number of rows");
  need(index.ngram.size() % 3 == 0 && index.ptr.size() == ngrams + 1, "lengths differ");
  need(index.count.size() == index.row.size(), "lengths differ");
  need(ascend(index.label), "labels do not ascend");
  need(index.ptr.front() == 0 && index.ptr.back() == static_cast<Offset>(index.row.size()) &&
           std::is_sorted(index.ptr.begin(), index.ptr.end()),
       "offsets are wrong");
  const auto is_row = [&](std::int32_t row) { return row >= 0 && row < index.rows; };
  need(std::all_of(index.row.begin(), index.row.end(), is_row), "a row does not exist");
  need(std::all_of(index.partial.begin(), index.partial.end(), is_row) && ascend(index.partial),
       "a row does not exist");
  for (std::size_t i = 0; i < ngrams; ++i) {
    const std::int32_t* label = index.ngram.data() + 3 * i;
    need(label[0] >= 0 && label[1] >= -1 && label[2] >= -1 && label[0] < labels &&
             label[1] < labels && label[2] < labels && (label[1] >= 0 || label[2] < 0),
         "a label does not exist");
    const auto rows = std::span(index.row).subspan(narfast::index(index.ptr[i]),
                                                   narfast::index(index.ptr[i + 1] - index.ptr[i]));
    need(ascend(rows), "rows do not ascend");
  }
}

NgramRows find_ngrams(const NgramIndex& index, std::span<const Ngram> ngrams, MatchLevel level) {
  std::unordered_map<Ngram, std::size_t, NgramHasher> wanted;
  std::vector<std::size_t> group(ngrams.size());  // n-grams that are given twice share one
  for (std::size_t i = 0; i < ngrams.size(); ++i)
    group[i] = wanted.try_emplace(ngrams[i], i).first->second;
  std::vector<std::vector<std::size_t>> members(ngrams.size());
  const std::size_t known = index.ptr.size() - 1;
  for (std::size_t number = 0; number < known; ++number)
    if (const auto at = wanted.find(ngram_at(index, number, level)); at != wanted.end())
      members[at->second].push_back(number);

  NgramRows result;
  std::vector<std::uint64_t> sum(narfast::index(index.rows), 0);
  std::vector<std::int32_t> touched;
  for (std::size_t i = 0; i < ngrams.size(); ++i) {
    touched.clear();
    for (const std::size_t number : members[group[i]])
      for (Offset at = index.ptr[number]; at < index.ptr[number + 1]; ++at) {
        const std::int32_t row = index.row[narfast::index(at)];
        if (sum[narfast::index(row)] == 0) touched.push_back(row);
        sum[narfast::index(row)] += index.count[narfast::index(at)];
      }
    if (members[group[i]].size() > 1) std::sort(touched.begin(), touched.end());
    for (const std::int32_t row : touched) {
      if (sum[narfast::index(row)] > 0) {
        result.row.push_back(row);
        result.count.push_back(sum[narfast::index(row)]);
      }
      sum[narfast::index(row)] = 0;
    }
    result.ptr.push_back(static_cast<Offset>(result.row.size()));
  }
  return result;
}

std::vector<std::int32_t> candidate_rows(const NgramIndex& index, const GraphView& pattern,
                                         MatchLevel level) {
  const NgramCounts needed = count_ngrams(pattern, level);
  const NgramRows found = find_ngrams(index, needed.ngram, level);
  // A row passes an n-gram at most once, so a row that has passed all has as many points as there
  // are n-grams. Rows of which longer n-grams are not known pass those.
  std::vector<std::size_t> points(narfast::index(index.rows), 0);
  std::size_t long_ngrams = 0;
  std::vector<bool> partial(narfast::index(index.rows), false);
  for (const std::int32_t row : index.partial) partial[narfast::index(row)] = true;
  for (std::size_t i = 0; i < needed.ngram.size(); ++i) {
    const bool is_long = length(needed.ngram[i]) > 1;
    long_ngrams += static_cast<std::size_t>(is_long);
    for (Offset at = found.ptr[i]; at < found.ptr[i + 1]; ++at) {
      const std::size_t row = narfast::index(found.row[narfast::index(at)]);
      if (found.count[narfast::index(at)] >= needed.count[i] && !(is_long && partial[row]))
        ++points[row];
    }
  }
  std::vector<std::int32_t> rows;
  for (std::size_t row = 0; row < points.size(); ++row) {
    const std::size_t target = needed.ngram.size() - (partial[row] ? long_ngrams : 0);
    if (points[row] == target) rows.push_back(static_cast<std::int32_t>(row));
  }
  return rows;
}

}  // namespace narfast
