// Look-ups by name and by spelling, in maps that are built once.
#include "narfast/graph/operators.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>
#include <string>
#include <unordered_map>

namespace narfast {
namespace {

constexpr bool names_are_unique() {
  for (std::size_t i = 0; i < kOperatorTable.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (kOperatorTable[i].name == kOperatorTable[j].name) return false;
  return true;
}
static_assert(names_are_unique());

template <typename Visit>
void for_each_spelling(std::string_view spellings, Visit visit) {
  while (!spellings.empty()) {
    const std::size_t end = std::min(spellings.find(' '), spellings.size());
    std::string_view word = spellings.substr(0, end);
    spellings.remove_prefix(std::min(end + 1, spellings.size()));
    int data_inputs = -1;
    if (const std::size_t colon = word.find(':'); colon != std::string_view::npos) {
      std::from_chars(word.data() + colon + 1, word.data() + word.size(), data_inputs);
      word = word.substr(0, colon);
    }
    if (!word.empty()) visit(word, data_inputs);
  }
}

using SpellingMap = std::unordered_map<std::string_view, Spelling>;

struct Maps {
  std::array<SpellingMap, 3> by_frontend;
  std::unordered_map<std::string_view, OpId> by_name;
};

const Maps& maps() {
  static const Maps built = [] {
    Maps m;
    for (std::size_t i = 0; i < kOperatorTable.size(); ++i) {
      const auto id = static_cast<OpId>(i);
      m.by_name.emplace(kOperatorTable[i].name, id);
      const std::array columns{kOperatorTable[i].autograd, kOperatorTable[i].aten,
                               kOperatorTable[i].onnx};
      for (std::size_t f = 0; f < columns.size(); ++f)
        for_each_spelling(columns[f], [&](std::string_view word, int data_inputs) {
          if (!m.by_frontend[f].emplace(word, Spelling{id, data_inputs}).second)
            throw std::logic_error("operator table: '" + std::string(word) + "' is spelt twice");
        });
    }
    return m;
  }();
  return built;
}

}  // namespace

std::string_view category_name(Category category) {
  constexpr auto names = std::to_array<std::string_view>(
      {"source", "convolution", "linear", "attention", "normalization", "activation", "elementwise",
       "reduction", "pooling", "layout", "indexing", "recurrent", "spatial", "other"});
  return names[static_cast<std::size_t>(category)];
}

std::optional<Spelling> find_spelling(Frontend frontend, std::string_view spelling) {
  const SpellingMap& map = maps().by_frontend[static_cast<std::size_t>(frontend)];
  const auto it = map.find(spelling);
  return it == map.end() ? std::nullopt : std::optional(it->second);
}

std::optional<OpId> find_operator(std::string_view canonical_name) {
  const auto& by_name = maps().by_name;
  const auto it = by_name.find(canonical_name);
  return it == by_name.end() ? std::nullopt : std::optional(it->second);
}

}  // namespace narfast
