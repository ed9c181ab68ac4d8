// The kernels for one instruction set; CMakeLists.txt compiles this file for it.
#include "narfast/encoder/kernels_of.h"

namespace narfast::isa {

constinit const Kernels kPlain = kernels_of<PlainLanes>("plain");

}  // namespace narfast::isa
