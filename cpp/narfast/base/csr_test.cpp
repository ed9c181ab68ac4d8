// Rows, slices of rows, and rows turned around.
#include "narfast/base/csr.h"

#include <doctest/doctest.h>

#include <cstdint>

namespace narfast {
namespace {

using Rows = Csr<std::int64_t, std::int32_t>;

std::vector<std::int32_t> copy(std::span<const std::int32_t> row) {
  return {row.begin(), row.end()};
}

TEST_CASE("rows are written one after the other") {
  Rows rows;
  CHECK(rows.size() == 0);
  rows.values = {4, 5};
  rows.end_row();
  rows.end_row();
  rows.values.push_back(6);
  rows.end_row();
  REQUIRE(rows.size() == 3);
  CHECK(copy(rows[0]) == std::vector<std::int32_t>{4, 5});
  CHECK(rows[1].empty());
  CHECK(copy(rows[2]) == std::vector<std::int32_t>{6});
}

TEST_CASE("offsets of a slice need not start at zero") {
  const std::vector<std::int64_t> ptr{2, 3, 5};
  const std::vector<std::int32_t> values{9, 9, 0, 1, 0, 9};
  const CsrView<std::int64_t, std::int32_t> slice{ptr, values};
  CHECK(slice.size() == 2);
  CHECK(copy(slice[1]) == std::vector<std::int32_t>{1, 0});
  CHECK(copy(transpose(slice)[0]) == std::vector<std::int32_t>{0, 1});
  CHECK(CsrView<std::int64_t, std::int32_t>{}.size() == 0);
}

TEST_CASE("transpose keeps multiplicity and order") {
  Rows rows;
  rows.end_row();
  rows.values = {0};
  rows.end_row();
  rows.values.insert(rows.values.end(), {1, 0, 1});
  rows.end_row();
  const Rows turned = transpose(rows.view());
  CHECK(turned.ptr == std::vector<std::int64_t>{0, 2, 4, 4});
  CHECK(turned.values == std::vector<std::int32_t>{1, 2, 2, 2});
}

TEST_CASE("group_by lists the items of every key, of absent keys too") {
  const std::vector<std::int32_t> keys{2, 0, 2};
  const auto groups = group_by<std::int64_t, std::int32_t>(std::span(keys), 4);
  CHECK(groups.ptr == std::vector<std::int64_t>{0, 1, 1, 3, 3});
  CHECK(groups.values == std::vector<std::int32_t>{1, 0, 2});
}

}  // namespace
}  // namespace narfast
