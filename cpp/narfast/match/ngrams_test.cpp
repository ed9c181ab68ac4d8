// N-grams of graphs small enough to count by hand, and the rows that have them.
#include "narfast/match/ngrams.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "narfast/base/errors.h"
#include "narfast/graph/attributes.h"
#include "narfast/graph/operators.h"
#include "narfast/testing/test_graphs.h"

namespace narfast {
namespace {

using testing::Net;

Label label(std::string_view op, Attr attributes = 0) {
  return make_label(find_operator(op).value(), attributes);
}

std::uint32_t times(const NgramCounts& counts, const Ngram& ngram) {
  for (std::size_t i = 0; i < counts.ngram.size(); ++i)
    if (counts.ngram[i] == ngram) return counts.count[i];
  return 0;
}

Net fork() {  // conv feeds two activations, which are added
  Net net;
  const NodeId conv = net.add("conv", {net.input()}, attr::kKernelOne);
  net.add("add", {net.add("relu", {conv}), net.add("relu", {conv})});
  return net;
}

TEST_CASE("operators, edges and paths are counted with multiplicity") {
  const NgramCounts counts = count_ngrams(fork().view(), MatchLevel::kExact);
  const Label conv = label("conv", attr::kKernelOne);
  CHECK(times(counts, {label("relu"), kNoLabel, kNoLabel}) == 2);
  CHECK(times(counts, {conv, label("relu"), kNoLabel}) == 2);
  CHECK(times(counts, {label("input"), conv, label("relu")}) == 2);
  CHECK(times(counts, {conv, label("relu"), label("add")}) == 2);
  CHECK(counts.ngram.size() == 4 + 3 + 2);
  CHECK(std::is_sorted(counts.ngram.begin(), counts.ngram.end()));
  CHECK_FALSE(counts.partial);
  const NgramCounts coarse = count_ngrams(fork().view(), MatchLevel::kOperators);
  CHECK(times(coarse, {label("conv"), label("relu"), label("add")}) == 2);
}

TEST_CASE("a graph of very many different n-grams is listed by its operators") {
  Net net;
  std::vector<NodeId> inputs, readers;
  for (Attr i = 0; i < 1100; ++i) inputs.push_back(net.add("constant", {}, i));
  const NodeId hub = net.add("concat", inputs);
  for (Attr i = 0; i < 1100; ++i) net.add("relu", {hub}, i);
  const NgramCounts counts = count_ngrams(net.view(), MatchLevel::kExact);
  CHECK(counts.partial);
  CHECK(counts.ngram.size() == 2201);
  // It is a candidate wherever its operators allow.
  const std::vector<Graph> graphs{fork().graph(), net.graph()};
  const GraphBatch batch = concatenate(graphs);
  const NgramIndex index = build_ngram_index(batch.view(), 1);
  CHECK(index.partial == std::vector<std::int32_t>{1});
  Net pattern;
  pattern.add("relu", {pattern.add("constant", {}, 5)}, 7);
  const auto candidates = [&](const Net& of) {
    return candidate_rows(index, of.view(), MatchLevel::kExact);
  };
  CHECK(candidates(pattern) == std::vector<std::int32_t>{1});
  Net other;
  other.add("gelu", {other.add("constant", {}, 5)});
  CHECK(candidates(other).empty());
}

TEST_CASE("candidates have every n-gram of the pattern, as often as it") {
  Net chain;
  chain.chain(chain.input(), {"conv", "relu", "add"});
  const std::vector<Graph> graphs{fork().graph(), chain.graph(), Graph{}};
  const GraphBatch batch = concatenate(graphs);
  const NgramIndex index = build_ngram_index(batch.view(), 1);
  CHECK(index == build_ngram_index(batch.view(), 3));
  CHECK_NOTHROW(validate(index));
  Net pattern;
  pattern.add("add", {pattern.add("relu", {})});
  CHECK(candidate_rows(index, pattern.view(), MatchLevel::kExact) ==
        std::vector<std::int32_t>{0, 1});
  Net two;
  two.add("add", {two.add("relu", {}), two.add("relu", {})});
  CHECK(candidate_rows(index, two.view(), MatchLevel::kExact) == std::vector<std::int32_t>{0});
  Net wide;
  wide.add("relu", {wide.add("conv", {}, attr::kGroupsDense)});
  CHECK(candidate_rows(index, wide.view(), MatchLevel::kExact).empty());
  CHECK(candidate_rows(index, wide.view(), MatchLevel::kOperators) ==
        std::vector<std::int32_t>{0, 1});
}

TEST_CASE("the rows of n-grams at a level add up those of the exact ones") {
  const std::vector<Graph> graphs{fork().graph(), fork().graph()};
  const GraphBatch batch = concatenate(graphs);
  const NgramIndex index = build_ngram_index(batch.view(), 1);
  const std::vector<Ngram> wanted{{label("conv"), label("relu"), kNoLabel},
                                  {label("gelu"), kNoLabel, kNoLabel},
                                  {label("conv"), label("relu"), kNoLabel}};
  const NgramRows found = find_ngrams(index, wanted, MatchLevel::kShapes);
  CHECK(found.ptr == std::vector<Offset>{0, 2, 2, 4});
  CHECK(found.row == std::vector<std::int32_t>{0, 1, 0, 1});
  CHECK(found.count == std::vector<std::uint64_t>{2, 2, 2, 2});
  CHECK(find_ngrams(index, wanted, MatchLevel::kExact).row.empty());
}

TEST_CASE("an index that does not fit together is refused") {
  const std::vector<Graph> graphs{fork().graph()};
  const GraphBatch batch = concatenate(graphs);
  const NgramIndex good = build_ngram_index(batch.view(), 1);
  const auto refused = [&](auto change) {
    NgramIndex bad = good;
    change(bad);
    CHECK_THROWS_AS(validate(bad), CorruptFile);
  };
  refused([](NgramIndex& i) { i.rows = -1; });
  refused([](NgramIndex& i) { i.rows = 0; });
  refused([](NgramIndex& i) { i.row.back() = 1; });
  refused([](NgramIndex& i) { i.row.back() = -1; });
  refused([](NgramIndex& i) { i.row.pop_back(); });
  refused([](NgramIndex& i) { i.count.push_back(1); });
  refused([](NgramIndex& i) { i.ptr.back() += 1; });
  refused([](NgramIndex& i) {
    i.ptr[1] = 5;
    i.ptr[2] = 3;
  });
  refused([](NgramIndex& i) { i.ptr.clear(); });
  refused([](NgramIndex& i) { i.ngram.pop_back(); });
  refused([](NgramIndex& i) { i.ngram[0] = 99; });
  refused([](NgramIndex& i) { i.ngram[0] = -1; });
  refused([](NgramIndex& i) { i.label[1] = i.label[0]; });
  refused([](NgramIndex& i) { i.partial.push_back(7); });
}

}  // namespace
}  // namespace narfast
