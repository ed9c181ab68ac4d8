// The kernels for one instruction set; CMakeLists.txt compiles this file for it.
#include "narfast/encoder/kernels_of.h"

namespace narfast::isa {

constinit const Kernels kNeon = kernels_of<NeonLanes>("neon");

}  // namespace narfast::isa
