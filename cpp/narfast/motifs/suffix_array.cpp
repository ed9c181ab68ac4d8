// Induced sorting, Kasai's common prefixes, and the walk over intervals of equal prefixes.
#include "narfast/motifs/suffix_array.h"

#include <algorithm>

#include "narfast/base/csr.h"

namespace narfast {
namespace {

constexpr std::int32_t kEmpty = -1;

// Induced sorting of one text. A suffix is S-type if smaller than the next suffix, else L-type; an
// S-type suffix after an L-type one is "leftmost S" (LMS). Sorting the LMS suffixes induces the
// order of all others. The text counts as if a unique smallest symbol stood at its end.
class InducedSort {
 public:
  InducedSort(std::span<const std::int32_t> text, std::int32_t alphabet)
      : text_(text), size_(static_cast<std::int32_t>(text.size())), sa_(text.size(), kEmpty) {
    classify();
    bucket_start_.assign(index(alphabet) + 1, 0);
    for (std::int32_t symbol : text_) ++bucket_start_[index(symbol) + 1];
    for (std::size_t i = 1; i < bucket_start_.size(); ++i) bucket_start_[i] += bucket_start_[i - 1];
  }

  std::vector<std::int32_t> sort() {
    if (size_ == 0) return {};
    std::vector<std::int32_t> lms;
    for (std::int32_t i = 1; i < size_; ++i)
      if (is_lms(i)) lms.push_back(i);

    induce(lms);  // sorts the LMS substrings
    const std::vector<std::int32_t> names = name_substrings(lms.size());
    std::vector<std::int32_t> reduced;
    reduced.reserve(lms.size());
    for (std::int32_t i : lms) reduced.push_back(names[index(i)]);

    std::vector<std::int32_t> order(lms.size());
    if (num_names_ == static_cast<std::int32_t>(lms.size())) {
      for (std::size_t i = 0; i < lms.size(); ++i) order[index(reduced[i])] = lms[i];
    } else {
      const std::vector<std::int32_t> sub = InducedSort(reduced, num_names_).sort();
      for (std::size_t i = 0; i < lms.size(); ++i) order[i] = lms[index(sub[i])];
    }
    induce(order);
    return std::move(sa_);
  }

 private:
  void classify() {
    s_type_.assign(text_.size(), false);
    for (std::int32_t i = size_ - 2; i >= 0; --i)
      s_type_[index(i)] = text_[index(i)] < text_[index(i) + 1] ||
                          (text_[index(i)] == text_[index(i) + 1] && s_type_[index(i) + 1]);
  }

  [[nodiscard]] bool is_lms(std::int32_t i) const {
    return i > 0 && s_type_[index(i)] && !s_type_[index(i) - 1];
  }

  void induce(const std::vector<std::int32_t>& lms) {
    std::fill(sa_.begin(), sa_.end(), kEmpty);
    std::vector<std::int32_t> tail(bucket_start_.begin() + 1, bucket_start_.end());
    for (std::size_t i = lms.size(); i-- > 0;)
      sa_[index(--tail[index(text_[index(lms[i])])])] = lms[i];

    std::vector<std::int32_t> head(bucket_start_.begin(), bucket_start_.end() - 1);
    auto push_l = [&](std::int32_t i) {
      if (i >= 0 && !s_type_[index(i)]) sa_[index(head[index(text_[index(i)])]++)] = i;
    };
    push_l(size_ - 1);  // the suffix before the imagined end symbol
    for (std::int32_t i = 0; i < size_; ++i)
      if (sa_[index(i)] > 0) push_l(sa_[index(i)] - 1);

    tail.assign(bucket_start_.begin() + 1, bucket_start_.end());
    for (std::int32_t i = size_ - 1; i >= 0; --i) {
      const std::int32_t before = sa_[index(i)] - 1;
      if (before >= 0 && s_type_[index(before)])
        sa_[index(--tail[index(text_[index(before)])])] = before;
    }
  }

  // Numbers the LMS substrings in their sorted order, equal ones alike.
  std::vector<std::int32_t> name_substrings(std::size_t count) {
    std::vector<std::int32_t> names(text_.size(), kEmpty);
    num_names_ = 0;
    if (count == 0) return names;
    std::int32_t previous = kEmpty;
    for (std::int32_t i : sa_) {
      if (!is_lms(i)) continue;
      if (previous == kEmpty || !same_substring(previous, i)) ++num_names_;
      names[index(i)] = num_names_ - 1;
      previous = i;
    }
    return names;
  }

  [[nodiscard]] bool same_substring(std::int32_t a, std::int32_t b) const {
    for (std::int32_t k = 0;; ++k) {
      if (a + k >= size_ || b + k >= size_) return false;  // the end symbol is unique
      if (text_[index(a + k)] != text_[index(b + k)] ||
          s_type_[index(a + k)] != s_type_[index(b + k)])
        return false;
      if (k > 0 && (is_lms(a + k) || is_lms(b + k))) return is_lms(a + k) && is_lms(b + k);
    }
  }

  std::span<const std::int32_t> text_;
  std::int32_t size_;
  std::int32_t num_names_ = 0;
  std::vector<bool> s_type_;
  std::vector<std::int32_t> bucket_start_;
  std::vector<std::int32_t> sa_;
};

}  // namespace

std::vector<std::int32_t> suffix_array(std::span<const std::int32_t> text, std::int32_t alphabet) {
  return InducedSort(text, alphabet).sort();
}

std::vector<std::int32_t> common_prefixes(std::span<const std::int32_t> text,
                                          std::span<const std::int32_t> sa) {
  const auto size = static_cast<std::int32_t>(text.size());
  std::vector<std::int32_t> rank(text.size()), lcp(text.size(), 0);
  for (std::int32_t i = 0; i < size; ++i) rank[index(sa[index(i)])] = i;
  std::int32_t length = 0;
  for (std::int32_t i = 0; i < size; ++i) {
    if (rank[index(i)] == 0) {
      length = 0;
      continue;
    }
    const std::int32_t j = sa[index(rank[index(i)] - 1)];
    while (i + length < size && j + length < size &&
           text[index(i + length)] == text[index(j + length)])
      ++length;
    lcp[index(rank[index(i)])] = length;
    if (length > 0) --length;
  }
  return lcp;
}

std::vector<Repeat> right_maximal_repeats(std::span<const std::int32_t> sa,
                                          std::span<const std::int32_t> lcp,
                                          std::int32_t min_length) {
  // Bottom-up walk over the intervals of equal common prefix, with a stack of open ones.
  std::vector<Repeat> found, open;
  const auto size = static_cast<std::int32_t>(sa.size());
  for (std::int32_t i = 1; i <= size; ++i) {
    const std::int32_t length = i < size ? lcp[index(i)] : 0;
    Repeat current{length, i - 1, i, sa[index(i - 1)], sa[index(i - 1)]};
    while (!open.empty() && open.back().length > length) {
      Repeat closed = open.back();
      open.pop_back();
      closed.last = i - 1;
      if (closed.length >= min_length) found.push_back(closed);
      current.first = closed.first;
      current.lowest_start = std::min(current.lowest_start, closed.lowest_start);
      current.highest_start = std::max(current.highest_start, closed.highest_start);
      if (!open.empty() && open.back().length >= length) {
        open.back().lowest_start = std::min(open.back().lowest_start, current.lowest_start);
        open.back().highest_start = std::max(open.back().highest_start, current.highest_start);
      }
    }
    if (i == size) break;
    if (length > 0 && (open.empty() || open.back().length < length)) open.push_back(current);
    if (!open.empty()) {
      open.back().lowest_start = std::min(open.back().lowest_start, sa[index(i)]);
      open.back().highest_start = std::max(open.back().highest_start, sa[index(i)]);
    }
  }
  return found;
}

}  // namespace narfast
