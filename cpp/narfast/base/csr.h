// Compressed sparse rows: the values of all rows side by side, and the place where each row begins.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

namespace narfast {

/// The number of a node, an edge or a row as the index of an array; never negative.
[[nodiscard]] constexpr std::size_t index(std::integral auto number) {
  return static_cast<std::size_t>(number);
}

/// Rows in the arrays of another object. `ptr` has one entry more than there are rows and never
/// falls; it need not start at zero (the rows may be a slice of a longer list).
template <typename Ptr, typename Value>
struct CsrView {
  std::span<const Ptr> ptr;
  std::span<const Value> values;

  [[nodiscard]] constexpr std::size_t size() const { return ptr.empty() ? 0 : ptr.size() - 1; }
  [[nodiscard]] constexpr std::span<const Value> operator[](std::integral auto row) const {
    const std::size_t i = index(row);
    return values.subspan(index(ptr[i]), index(ptr[i + 1] - ptr[i]));
  }
};

/// Rows that own their arrays.
template <typename Ptr, typename Value>
struct Csr {
  std::vector<Ptr> ptr{0};
  std::vector<Value> values;

  [[nodiscard]] CsrView<Ptr, Value> view() const { return {ptr, values}; }
  [[nodiscard]] std::size_t size() const { return ptr.size() - 1; }
  [[nodiscard]] std::span<const Value> operator[](std::integral auto row) const {
    return view()[row];
  }
  /// Ends a row after the values that were appended last.
  void end_row() { ptr.push_back(static_cast<Ptr>(values.size())); }
};

/// Rows out of (row, value) pairs, by count, prefix sum and fill: `visit(f)` must call f(row,
/// value) for the same pairs in the same order whenever it is called, which is twice. A row keeps
/// the order of its values. O(pairs + rows).
template <typename Ptr, typename Value, typename Visit>
[[nodiscard]] Csr<Ptr, Value> collect_rows(std::size_t rows, Visit visit) {
  Csr<Ptr, Value> result;
  result.ptr.assign(rows + 1, 0);
  visit([&](std::integral auto row, Value) { ++result.ptr[index(row) + 1]; });
  for (std::size_t row = 0; row < rows; ++row) result.ptr[row + 1] += result.ptr[row];
  result.values.resize(index(result.ptr.back()));
  std::vector<Ptr> next(result.ptr.begin(), result.ptr.end() - 1);
  visit([&](std::integral auto row, Value value) {
    result.values[index(next[index(row)]++)] = value;
  });
  return result;
}

/// Row v lists the rows of `from` that hold v, ascending and with multiplicity. As many rows as
/// `from` has; its values are row numbers.
template <typename Ptr, typename Value>
[[nodiscard]] Csr<Ptr, Value> transpose(CsrView<Ptr, Value> from) {
  return collect_rows<Ptr, Value>(from.size(), [&](auto add) {
    for (std::size_t row = 0; row < from.size(); ++row)
      for (const Value value : from[row]) add(value, static_cast<Value>(row));
  });
}

/// Row k lists the items of key k, ascending. Keys are in [0, rows).
template <typename Ptr, typename Value, typename Key>
[[nodiscard]] Csr<Ptr, Value> group_by(std::span<const Key> keys, std::size_t rows) {
  return collect_rows<Ptr, Value>(rows, [&](auto add) {
    for (std::size_t item = 0; item < keys.size(); ++item)
      add(keys[item], static_cast<Value>(item));
  });
}

}  // namespace narfast
