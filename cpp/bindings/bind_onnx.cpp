// The ONNX reader: many files to raw graphs, and one file's structure for tests.
#include <pybind11/stl.h>

#include <variant>

#include "arrays.h"
#include "bindings.h"
#include "narfast/base/parallel.h"
#include "narfast/onnx/raw_graph.h"

namespace narfast::bindings {

using namespace py::literals;

namespace {

/// The error class and message of an unreadable file, for bulk runs.
struct Failure {
  const char* kind;
  std::string message;
};

using Outcome = std::variant<onnx::RawGraph, Failure>;

Outcome read_one(const std::string& path) {
  try {
    return onnx::read_raw_graph(path);
  } catch (const std::bad_alloc&) {
    return Failure{"InvalidGraphError",
                   path + ": not enough memory to read it; read fewer files at a time"};
  } catch (const std::exception& e) {
    const char* name = error_class(e);
    if (name == nullptr) throw;
    return Failure{name, e.what()};
  }
}

/// A message may name a path that is not UTF-8.
py::object text(const std::string& message) {
  return py::reinterpret_steal<py::object>(PyUnicode_DecodeUTF8(
      message.data(), static_cast<py::ssize_t>(message.size()), "backslashreplace"));
}

py::tuple wrap(onnx::RawGraph raw) {
  py::dict facts;
  facts["params"] = raw.params;
  facts["opset"] = raw.opset;
  py::tuple shapes(raw.input_shapes.size());
  for (std::size_t i = 0; i < raw.input_shapes.size(); ++i) {
    shapes[i] = py::tuple(py::cast(raw.input_shapes[i]));
  }
  facts["input_shapes"] = shapes;
  py::dict unknown;
  for (const auto& [spelling, count] : raw.unknown) unknown[py::str(spelling)] = count;
  facts["unknown_ops"] = unknown;
  facts["texts"] = py::tuple(py::cast(raw.texts));
  facts["hyperparameters"] = give(std::move(raw.hyperparameters));
  Graph& g = raw.graph;
  return py::make_tuple(give(std::move(g.op)), give(std::move(g.attr)), give(std::move(g.in_ptr)),
                        give(std::move(g.in_src)), facts);
}

}  // namespace

void bind_onnx(py::module_& m) {
  m.def(
      "read_onnx",
      [](const std::vector<py::bytes>& names, int num_threads) {
        const std::vector<std::string> paths(names.begin(), names.end());
        std::vector<Outcome> outcomes(paths.size());
        {
          const py::gil_scoped_release unlocked;
          parallel_for(paths.size(), num_threads,
                       [&](std::size_t i) { outcomes[i] = read_one(paths[i]); });
        }
        py::list results;
        for (Outcome& outcome : outcomes) {
          if (auto* raw = std::get_if<onnx::RawGraph>(&outcome)) {
            results.append(wrap(std::move(*raw)));
          } else {
            const auto& failure = std::get<Failure>(outcome);
            results.append(py::make_tuple(failure.kind, text(failure.message)));
          }
        }
        return results;
      },
      "paths"_a, "num_threads"_a = 1,
      "Raw graphs of ONNX files: per file (op, attr, in_ptr, in_src, facts), or (name of the error "
      "class, message). The result does not depend on num_threads.");
  m.def(
      "inspect_onnx",
      [](const std::string& path) -> py::object {
        onnx::Model model;
        {
          const py::gil_scoped_release unlocked;
          model = onnx::read_model(path);
        }
        py::list nodes;
        for (const onnx::Node& node : model.graph.nodes) {
          nodes.append(py::make_tuple(node.domain, node.type, node.inputs, node.outputs));
        }
        py::dict initializers;
        for (const onnx::Tensor& tensor : model.graph.initializers) {
          initializers[py::str(tensor.name)] = py::make_tuple(
              static_cast<int>(tensor.type), tensor.dims, tensor.external, tensor.decoded);
        }
        py::dict result;
        result["ir_version"] = model.ir_version;
        result["opset"] = model.opset;
        result["nodes"] = nodes;
        result["initializers"] = initializers;
        result["functions"] = model.functions.size();
        return result;
      },
      "path"_a,
      "The top-level structure of an ONNX file as Python objects (copies), for tests and "
      "debugging.");
}

}  // namespace narfast::bindings
