// Turns the exceptions of the core into those of narfast.errors, and Ctrl-C into KeyboardInterrupt.
#include "bindings.h"
#include "narfast/base/errors.h"
#include "narfast/base/parallel.h"
#include "narfast/onnx/byte_source.h"
#include "narfast/onnx/reader.h"

namespace narfast::bindings {

namespace py = pybind11;

const char* error_class(const std::exception& error) {
  // Before CorruptFile, its base: a file in another format is an unsupported source.
  if (dynamic_cast<const onnx::NotOnnx*>(&error) != nullptr ||
      dynamic_cast<const FileNotReadable*>(&error) != nullptr)
    return "UnsupportedSourceError";
  if (dynamic_cast<const BadSetting*>(&error) != nullptr) return "NarfastError";
  if (dynamic_cast<const CorruptFile*>(&error) != nullptr) return "CorruptFileError";
  if (dynamic_cast<const InvalidGraph*>(&error) != nullptr) return "InvalidGraphError";
  return nullptr;
}

void bind_errors(py::module_&) {
  py::register_exception_translator([](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const Interrupted&) {
      // The signal handler has set KeyboardInterrupt already.
      if (!PyErr_Occurred()) PyErr_SetNone(PyExc_KeyboardInterrupt);
    } catch (const std::exception& e) {
      const char* name = error_class(e);
      if (name == nullptr) throw;
      PyErr_SetString(py::module_::import("narfast.errors").attr(name).ptr(), e.what());
    }
  });
  set_interrupt_check([] {
    const py::gil_scoped_acquire gil;
    return PyErr_CheckSignals() != 0;
  });
}

}  // namespace narfast::bindings
