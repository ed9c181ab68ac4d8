// Which kernels the processor can run, and matrices in panels.
#include "narfast/encoder/kernels.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "narfast/base/errors.h"

namespace narfast {
namespace {

const Kernels& chosen() {
  const std::vector<const Kernels*> available = available_kernels();
  const char* wanted = std::getenv("NARFAST_ISA");
  if (wanted == nullptr || *wanted == '\0') return *available.back();
  std::string names;
  for (const Kernels* set : available) {
    if (set->name == wanted) return *set;
    names += (names.empty() ? "" : ", ") + std::string(set->name);
  }
  throw BadSetting("NARFAST_ISA is '" + std::string(wanted) +
                   "', which this processor or build lacks; it has " + names);
}

}  // namespace

const Kernels& kernels() {
  static const Kernels& set = chosen();
  return set;
}

std::vector<const Kernels*> available_kernels() {
  std::vector<const Kernels*> available{&isa::kPlain};
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    available.push_back(&isa::kAvx2);
    if (__builtin_cpu_supports("avx512f")) available.push_back(&isa::kAvx512);
  }
#elif defined(__aarch64__)
  available.push_back(&isa::kNeon);
#endif
  return available;
}

PanelMatrix::PanelMatrix(std::span<const std::span<const float>> weights, std::size_t depth)
    : depth_(depth) {
  for (const auto weight : weights) width_ += whole_panels(weight.size() / depth);
  panels_.assign(width_ * depth, 0.0f);
  std::size_t first = 0;
  for (const auto weight : weights) {
    const std::size_t columns = weight.size() / depth;
    for (std::size_t j = 0; j < columns; ++j) {
      const std::size_t column = first + j;
      float* panel = panels_.data() + column / kPanel * kPanel * depth + column % kPanel;
      for (std::size_t k = 0; k < depth; ++k) panel[k * kPanel] = weight[j * depth + k];
    }
    first += whole_panels(columns);
  }
}

void PanelMatrix::multiply(const Kernels& k, const float* a, std::size_t a_stride, std::size_t rows,
                           const float* bias, float* c, std::size_t c_stride) const {
  k.product(a, a_stride, rows, depth_, panels_.data(), width_ / kPanel, bias, c, c_stride);
}

}  // namespace narfast
