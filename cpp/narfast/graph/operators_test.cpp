// The operator table: names and spellings are unique, ids never move.
#include "narfast/graph/operators.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

namespace narfast {
namespace {

TEST_CASE("names lead back to their id") {
  const auto table = operator_table();
  for (std::size_t id = 0; id < table.size(); ++id) CHECK(find_operator(table[id].name) == id);
  CHECK_FALSE(find_operator("no such operator"));
}

TEST_CASE("ids that zoos have stored stay where they are") {
  static_assert(operator_id("input") == 0);
  static_assert(operator_id("conv") == 2);
  static_assert(operator_id("linear") == 4);
  static_assert(operator_id("attention") == 8);
  static_assert(operator_id("relu") == 16);
  static_assert(operator_id("add") == 38);
  static_assert(operator_id("unknown/other") == 126);
  static_assert("conv"_op == operator_id("conv"));
}

TEST_CASE("no frontend has one spelling for two operators") {
  for (const auto spellings : {&OperatorInfo::autograd, &OperatorInfo::aten, &OperatorInfo::onnx}) {
    std::set<std::string> seen;
    for (const OperatorInfo& info : operator_table()) {
      std::string word;
      for (char c : std::string(info.*spellings) + " ") {
        if (c != ' ') {
          word += c;
          continue;
        }
        word = word.substr(0, word.find(':'));
        if (word.empty()) continue;
        CAPTURE(word);
        CHECK(seen.insert(word).second);
        word.clear();
      }
    }
  }
}

TEST_CASE("find_spelling") {
  const auto conv = find_spelling(Frontend::kOnnx, "Conv");
  REQUIRE(conv.has_value());
  CHECK(conv->op == "conv"_op);
  CHECK(conv->data_inputs == 1);
  CHECK(find_spelling(Frontend::kOnnx, "Add")->data_inputs == -1);
  CHECK(find_spelling(Frontend::kAutograd, "Convolution")->op == "conv"_op);
  CHECK(find_spelling(Frontend::kAten, "silu_")->op == "silu"_op);
  CHECK_FALSE(find_spelling(Frontend::kAten, "Conv").has_value());
  CHECK_FALSE(find_spelling(Frontend::kOnnx, "").has_value());
}

TEST_CASE("every category has a name and an operator for the unknown, where it can be unknown") {
  std::set<std::string_view> names;
  for (const OperatorInfo& info : operator_table()) names.insert(category_name(info.category));
  CHECK(names.size() == 14);
  CHECK(names.count("") == 0);
}

}  // namespace
}  // namespace narfast
