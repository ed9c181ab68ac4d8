// The kernels for one instruction set; CMakeLists.txt compiles this file for it.
#include "narfast/encoder/kernels_of.h"

namespace narfast::isa {

constinit const Kernels kAvx2 = kernels_of<Avx2Lanes>("avx2");

}  // namespace narfast::isa
