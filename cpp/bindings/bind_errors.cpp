// Turns the exceptions of the core into those of narfast.errors, and Ctrl-C into KeyboardInterrupt.
#include "bindings.h"
#include "narfast/errors.h"
#include "narfast/parallel.h"

namespace narfast::bindings {

namespace py = pybind11;

namespace {

void raise(const char* class_name, const char* message) {
  const py::object type = py::module_::import("narfast.errors").attr(class_name);
  PyErr_SetString(type.ptr(), message);
}

}  // namespace

void bind_errors(py::module_&) {
  py::register_exception_translator([](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const InvalidGraph& e) {
      raise("InvalidGraphError", e.what());
    } catch (const CorruptFile& e) {
      raise("CorruptFileError", e.what());
    } catch (const Interrupted&) {
      // The signal handler has set KeyboardInterrupt already.
      if (!PyErr_Occurred()) PyErr_SetNone(PyExc_KeyboardInterrupt);
    }
  });
  set_interrupt_check([] {
    const py::gil_scoped_acquire gil;
    return PyErr_CheckSignals() != 0;
  });
}

}  // namespace narfast::bindings
