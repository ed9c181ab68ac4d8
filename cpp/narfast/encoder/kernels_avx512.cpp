// The kernels for one instruction set; CMakeLists.txt compiles this file for it.
#include "narfast/encoder/kernels_of.h"

namespace narfast::isa {

constinit const Kernels kAvx512 = kernels_of<Avx512Lanes>("avx512");

}  // namespace narfast::isa
