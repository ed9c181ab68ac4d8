// The only place where arrays cross between NumPy and the core. Arguments are checked for dtype,
// rank and contiguity and then shared, never copied; results own their buffer, which moves without
// a copy from a std::vector into the NumPy array.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/typing.h>

#include <array>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "narfast/graph/graph.h"
#include "narfast/graph/hash128.h"
#include "narfast/graph/hyperparameters.h"

namespace narfast::bindings {

namespace py = pybind11;

/// A read-only view of a NumPy array of exactly this dtype, C-contiguous, with `rank` dimensions.
/// Throws TypeError naming the argument.
template <typename T>
std::span<const T> share(const py::array& array, const char* name, py::ssize_t rank = 1) {
  if (!py::isinstance<py::array_t<T>>(array) || array.ndim() != rank ||
      !(array.flags() & py::array::c_style))
    throw py::type_error(
        std::string(name) + " must be a C-contiguous " + std::string(py::str(py::dtype::of<T>())) +
        " array with " + std::to_string(rank) + " dimension(s), got " +
        std::string(py::str(array.dtype())) + " with " + std::to_string(array.ndim()) +
        "; convert it with numpy.ascontiguousarray(x, dtype)");
  return {static_cast<const T*>(array.data()), static_cast<std::size_t>(array.size())};
}

/// An array of `Element` over the buffer of a vector, which it owns from now on.
template <typename Element, typename T>
py::array_t<Element> own(std::vector<T> values, const std::vector<py::ssize_t>& shape) {
  auto owned = std::make_unique<std::vector<T>>(std::move(values));
  auto* data = reinterpret_cast<Element*>(owned->data());
  py::capsule owner(owned.get(), [](void* p) { delete static_cast<std::vector<T>*>(p); });
  owned.release();  // NOLINT: the capsule owns it now
  return py::array_t<Element>(shape, data, owner);
}

/// Moves a vector into a NumPy array.
template <typename T>
py::array_t<T> give(std::vector<T> values) {
  const auto size = static_cast<py::ssize_t>(values.size());
  return own<T>(std::move(values), {size});
}

/// Moves 128-bit hashes into a uint64 array of shape (n, 2): high word, low word.
inline py::array_t<std::uint64_t> give(std::vector<Hash128> hashes) {
  static_assert(sizeof(Hash128) == 16);
  const auto size = static_cast<py::ssize_t>(hashes.size());
  return own<std::uint64_t>(std::move(hashes), {size, 2});
}

/// Shares the five arrays of a graph batch, in the order op, attr, node_ptr, in_ptr, in_src.
inline GraphBatchView share_batch(const py::array& op, const py::array& attr,
                                  const py::array& node_ptr, const py::array& in_ptr,
                                  const py::array& in_src) {
  return {share<OpId>(op, "op"), share<Attr>(attr, "attr"), share<Offset>(node_ptr, "node_ptr"),
          share<Offset>(in_ptr, "in_ptr"), share<NodeId>(in_src, "in_src")};
}

using BatchArrays = py::typing::Tuple<py::array_t<OpId>, py::array_t<Attr>, py::array_t<Offset>,
                                      py::array_t<Offset>, py::array_t<NodeId>>;

/// The five arrays of an owned batch, in the order of share_batch.
inline BatchArrays give(GraphBatch batch) {
  return py::make_tuple(give(std::move(batch.op)), give(std::move(batch.attr)),
                        give(std::move(batch.node_ptr)), give(std::move(batch.in_ptr)),
                        give(std::move(batch.in_src)));
}

using HyperparameterArrays =
    py::typing::Tuple<py::array_t<Offset>, py::array_t<std::uint8_t>, py::array_t<std::int64_t>>;

/// Shares the arrays of hyperparameters: ptr, key, value.
inline HyperparametersView share(const HyperparameterArrays& rows) {
  return {share<Offset>(rows[0].cast<py::array>(), "ptr"),
          share<std::uint8_t>(rows[1].cast<py::array>(), "key"),
          share<std::int64_t>(rows[2].cast<py::array>(), "value")};
}

/// The arrays of owned hyperparameters, in the order of `share`.
inline HyperparameterArrays give(Hyperparameters rows) {
  return py::make_tuple(give(std::move(rows.ptr)), give(std::move(rows.key)),
                        give(std::move(rows.value)));
}

}  // namespace narfast::bindings
