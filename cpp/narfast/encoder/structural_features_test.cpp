// Labels say what they promise and nothing else; damaged lists of labels are refused.
// Their values are held to a slow twin by tests/test_structural_features.py.
#include "narfast/encoder/structural_features.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "narfast/graph/hash128.h"
#include "narfast/testing/test_graphs.h"

namespace narfast {
namespace {

using Labels = std::vector<std::uint64_t>;

Labels operator_hashes() {
  Labels hashes;
  for (std::uint64_t i = 0; i < operator_table().size(); ++i) hashes.push_back(mix64(i));
  return hashes;
}

/// Rows of labels of a graph.
std::vector<Labels> rows_of(const testing::Net& net, const LabelKinds& kinds) {
  Labels all;
  structural_labels(net.view(), kinds, operator_hashes(), all);
  const std::size_t nodes = net.graph().op.size();
  REQUIRE(all.size() == kinds.rows() * nodes);
  std::vector<Labels> rows;
  for (auto at = all.begin(); at != all.end(); at += static_cast<std::ptrdiff_t>(nodes))
    rows.emplace_back(at, at + static_cast<std::ptrdiff_t>(nodes));
  return rows;
}

std::size_t distinct(const Labels& labels) { return std::set(labels.begin(), labels.end()).size(); }

testing::Net chain(int relus) {
  testing::Net net;
  NodeId last = net.input();
  for (int i = 0; i < relus; ++i) last = net.add("relu", {last});
  return net;
}

TEST_CASE("surroundings tell nodes of one operator apart, hop by hop") {
  const auto rows = rows_of(chain(6), {.hops = 2});
  CHECK(distinct(rows[0]) == 2);
  CHECK(distinct(rows[1]) == 4);  // the input, the first, inner ones, the last
  CHECK(distinct(rows[2]) == 6);  // and those beside the first and the last
}

TEST_CASE("attributes count in rows of their own") {
  testing::Net net;
  const NodeId input = net.input();
  net.add("relu", {input}, 0);
  net.add("relu", {input}, 5);
  const auto rows = rows_of(net, {.hops = 1});
  REQUIRE(rows.size() == 4);
  CHECK(rows[0][1] == rows[0][2]);
  CHECK(rows[1][1] == rows[1][2]);
  CHECK(rows[2][1] != rows[2][2]);
  CHECK(rows[3][1] != rows[3][2]);
}

TEST_CASE("the order of operands does not count, their number does") {
  const auto sum_of = [](std::vector<NodeId> inputs) {
    testing::Net net;
    const NodeId input = net.input();
    net.add("relu", {input});
    return rows_of((net.add("add", inputs), net), {.hops = 1})[1][2];
  };
  CHECK(sum_of({0, 1}) == sum_of({1, 0}));
  CHECK(sum_of({0, 1}) != sum_of({0, 1, 1}));
}

TEST_CASE("labels of different rows never mean the same") {
  const auto rows = rows_of(chain(4), {.hops = 2, .ngrams = 4});
  Labels every;
  std::size_t apart = 0;
  for (const Labels& row : rows) {
    Labels found = row;
    std::erase(found, 0u);
    apart += distinct(found);
    every.insert(every.end(), found.begin(), found.end());
  }
  CHECK(distinct(every) == apart);
}

TEST_CASE("n-grams of operators end with the graph") {
  const auto rows = rows_of(chain(4), {.hops = 0, .ngrams = 3});  // input, then four times relu
  REQUIRE(rows.size() == 4);
  const Labels &pairs = rows[2], &triples = rows[3];
  CHECK(pairs[4] == 0);
  CHECK(triples[3] == 0);
  CHECK(triples[4] == 0);
  CHECK(pairs[0] != pairs[1]);
  CHECK((pairs[1] == pairs[2] && pairs[2] == pairs[3] && pairs[1] != 0));
  CHECK((triples[1] == triples[2] && triples[1] != 0));
  CHECK(rows_of(chain(0), {.hops = 0, .ngrams = 8}).back() == Labels{0});
}

TEST_CASE("how often a label occurs does not count, and listed labels have fixed lengths") {
  const LabelKinds kinds{.hops = 1, .ngrams = 2};
  const auto rows = rows_of(chain(3), kinds);
  Labels label;
  for (const Labels& row : rows) label.insert(label.end(), row.begin(), row.end());
  std::erase(label, 0u);
  std::sort(label.begin(), label.end());
  label.erase(std::unique(label.begin(), label.end()), label.end());
  std::vector<float> rarity;
  for (std::size_t i = 0; i < label.size(); ++i) rarity.push_back(1.0f + static_cast<float>(i));
  const LabelIdf idf(kinds, operator_hashes(), label, rarity);
  const auto features = [&](int relus, std::vector<LabelIdf::Weighted>& listed) {
    Labels labels;
    const testing::Net net = chain(relus);
    structural_labels(net.view(), kinds, idf.operator_hash(), labels);
    std::vector<float> vector(70);
    idf.features(kernels(), labels, net.graph().op.size(), vector, listed);
    return vector;
  };
  std::vector<LabelIdf::Weighted> few, many;
  CHECK(features(3, few) == features(30, many));
  REQUIRE(few.size() == label.size());
  CHECK(many.size() == few.size());
  double squares = 0;
  for (std::size_t i = 0; i < few.size(); ++i) {
    CHECK(few[i].row == static_cast<std::int64_t>(i));
    squares += static_cast<double>(few[i].weight) * static_cast<double>(few[i].weight);
  }
  // Two rows of single nodes, two of surroundings, one of n-grams.
  CHECK(squares == doctest::Approx(2 * 0.4 * 0.4 + 2 + 1));
}

TEST_CASE("damaged lists of labels are refused") {
  const auto list = [](Labels label, std::vector<float> idf) {
    return LabelIdf({}, operator_hashes(), std::move(label), std::move(idf));
  };
  CHECK(list({1, 2, 9}, {1.0f, 2.0f, 1.0f}).size() == 3);
  CHECK(list({}, {}).size() == 0);
  CHECK_THROWS_AS(list({1, 2, 9}, {1.0f, 2.0f}), CorruptFile);
  CHECK_THROWS_AS(list({1, 9, 2}, {1.0f, 2.0f, 1.0f}), CorruptFile);
  CHECK_THROWS_AS(list({1, 1}, {1.0f, 2.0f}), CorruptFile);
  for (const float bad : {0.0f, -1.0f, INFINITY, NAN})
    CHECK_THROWS_AS(list({1, 2}, {1.0f, bad}), CorruptFile);
}

}  // namespace
}  // namespace narfast
