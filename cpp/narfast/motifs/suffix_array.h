// Suffix arrays over integer sequences, and the repeats they reveal.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace narfast {

/// Starts of the suffixes of `text` in lexicographic order. Values of `text` are in [0, alphabet).
/// Induced sorting (Nong, Zhang, Chan: Two Efficient Algorithms for Linear Time Suffix Array
/// Construction, 2011). O(length + alphabet); recursion depth at most log2(length).
[[nodiscard]] std::vector<std::int32_t> suffix_array(std::span<const std::int32_t> text,
                                                     std::int32_t alphabet);

/// `lcp[i]` is the length of the longest common prefix of suffixes `sa[i - 1]` and `sa[i]`;
/// `lcp[0]` is 0 (Kasai et al., 2001). O(length).
[[nodiscard]] std::vector<std::int32_t> common_prefixes(std::span<const std::int32_t> text,
                                                        std::span<const std::int32_t> sa);

/// A substring that occurs more than once and is longer than every other with the same occurrences
/// (right-maximal): its starts are `sa[first] .. sa[last]`.
struct Repeat {
  std::int32_t length;
  std::int32_t first;
  std::int32_t last;
  std::int32_t lowest_start;
  std::int32_t highest_start;
};

/// All right-maximal repeats of at least `min_length`; fewer than suffixes. O(length).
[[nodiscard]] std::vector<Repeat> right_maximal_repeats(std::span<const std::int32_t> sa,
                                                        std::span<const std::int32_t> lcp,
                                                        std::int32_t min_length);

}  // namespace narfast
