// Suffix arrays, common prefixes and repeats against their definitions.
#include "narfast/motifs/suffix_array.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <utility>

namespace narfast {
namespace {

using Text = std::vector<std::int32_t>;

std::vector<std::int32_t> sorted_suffixes(const Text& text) {
  std::vector<std::int32_t> order(text.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return std::lexicographical_compare(text.begin() + a, text.end(), text.begin() + b, text.end());
  });
  return order;
}

std::int32_t common_prefix(const Text& text, std::int32_t a, std::int32_t b) {
  const auto [end, _] = std::mismatch(text.begin() + a, text.end(), text.begin() + b, text.end());
  return static_cast<std::int32_t>(end - (text.begin() + a));
}

Text random_text(std::mt19937& random, std::size_t length, std::int32_t alphabet) {
  std::uniform_int_distribution<std::int32_t> symbol(0, alphabet - 1);
  Text text(length);
  for (std::int32_t& s : text) s = symbol(random);
  return text;
}

// Texts on which suffix sorting goes wrong if anywhere: random, periodic, Fibonacci, monotonous.
std::vector<Text> texts() {
  std::vector<Text> all{{}, {0}, {0, 0}, {1, 0}, {0, 1}};
  std::mt19937 random(1);
  for (std::size_t length = 2; length < 60; ++length)
    for (std::int32_t alphabet : {1, 2, 3, 50})
      all.push_back(random_text(random, length, alphabet));
  for (std::size_t period : {1u, 2u, 3u, 7u, 12u}) {
    const Text block = random_text(random, period, 3);
    Text text;
    for (std::size_t i = 0; i < 100; ++i) text.push_back(block[i % period]);
    all.push_back(text);
    text[50] = 2;
    all.push_back(text);
  }
  Text a{0}, b{0, 1};
  while (b.size() < 300) {
    Text longer = b;
    longer.insert(longer.end(), a.begin(), a.end());
    a = std::exchange(b, longer);
  }
  all.push_back(b);
  Text ramp(100);
  std::iota(ramp.begin(), ramp.end(), 0);
  all.push_back(ramp);
  std::reverse(ramp.begin(), ramp.end());
  all.push_back(ramp);
  return all;
}

// Every substring that occurs at least twice and cannot be made longer to the right without losing
// an occurrence, with its occurrences.
std::map<Text, std::set<std::int32_t>> naive_repeats(const Text& text, std::int32_t min_length) {
  std::map<Text, std::set<std::int32_t>> occurrences, maximal;
  const auto size = static_cast<std::int32_t>(text.size());
  for (std::int32_t begin = 0; begin < size; ++begin)
    for (std::int32_t end = begin + 1; end <= size; ++end)
      occurrences[Text(text.begin() + begin, text.begin() + end)].insert(begin);
  for (const auto& [word, starts] : occurrences) {
    const auto length = static_cast<std::int32_t>(word.size());
    if (starts.size() < 2 || length < min_length) continue;
    std::set<std::int32_t> next;
    for (std::int32_t start : starts)
      next.insert(start + length < size ? text[static_cast<std::size_t>(start + length)] : -1);
    if (next.size() > 1) maximal[word] = starts;
  }
  return maximal;
}

TEST_CASE("suffix_array sorts suffixes") {
  for (const Text& text : texts()) CHECK(suffix_array(text, 101) == sorted_suffixes(text));
}

TEST_CASE("common_prefixes are those of neighbours in the suffix array") {
  for (const Text& text : texts()) {
    const auto sa = sorted_suffixes(text);
    const auto lcp = common_prefixes(text, sa);
    REQUIRE(lcp.size() == text.size());
    for (std::size_t i = 1; i < sa.size(); ++i)
      CHECK(lcp[i] == common_prefix(text, sa[i - 1], sa[i]));
  }
}

TEST_CASE("right_maximal_repeats finds each repeat once, with its outermost starts") {
  for (const Text& text : texts()) {
    if (text.size() > 60) continue;  // the oracle is cubic
    const auto sa = sorted_suffixes(text);
    std::map<Text, std::set<std::int32_t>> found;
    for (const Repeat& r : right_maximal_repeats(sa, common_prefixes(text, sa), 2)) {
      const std::set<std::int32_t> starts(sa.begin() + r.first, sa.begin() + r.last + 1);
      CHECK(r.lowest_start == *starts.begin());
      CHECK(r.highest_start == *starts.rbegin());
      const auto begin = text.begin() + r.lowest_start;
      CHECK(found.emplace(Text(begin, begin + r.length), starts).second);
    }
    CHECK(found == naive_repeats(text, 2));
  }
}

}  // namespace
}  // namespace narfast
