// Arithmetic of the encoder. The bits of a result depend on its input numbers alone.
//
// Every output of a product is one chain of fused multiply-adds over the inner dimension, every sum
// has a fixed order, every function is made of exactly rounded operations: batch, blocking, threads
// and instruction set change nothing. Chosen at run time for the processor at hand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace narfast {

/// Columns of a matrix that a product reads side by side.
inline constexpr std::size_t kPanel = 32;

/// `count` rounded up to whole panels.
[[nodiscard]] constexpr std::size_t whole_panels(std::size_t count) {
  return (count + kPanel - 1) / kPanel * kPanel;
}

/// The functions for one instruction set. Arrays may have any length and alignment.
struct Kernels {
  std::string_view name;

  /// c[i, j] = chain over k of fma(a[i, k], b[k, j], ·), beginning with bias[j] (0 without one).
  /// b lies in panels of kPanel columns, each [depth, kPanel]; c has room for whole panels.
  void (*product)(const float* a, std::size_t a_stride, std::size_t rows, std::size_t depth,
                  const float* b, std::size_t panels, const float* bias, float* c,
                  std::size_t c_stride);
  /// to = fma(factor, x, to)
  void (*add_scaled)(float factor, const float* x, float* to, std::size_t n);
  /// to = fma(factor, max(x, 0), to)
  void (*add_scaled_positive)(float factor, const float* x, float* to, std::size_t n);
  /// to = x + to
  void (*add)(const float* x, float* to, std::size_t n);
  /// to = factor * to
  void (*scale)(float factor, float* to, std::size_t n);
  /// to = max(x, to)
  void (*maximum)(const float* x, float* to, std::size_t n);
  void (*gelu)(float* x, std::size_t n);
  void (*relu)(float* x, std::size_t n);
  void (*elu)(float* x, std::size_t n);
  void (*exp)(float* x, std::size_t n);
  void (*log1p)(float* x, std::size_t n);
  /// Sum of x[i] * y[i] in sixteen interleaved chains, added pairwise.
  float (*dot)(const float* x, const float* y, std::size_t n);
  /// (x - mean) / sqrt(variance + 1e-5) * weight + bias, in place.
  void (*layer_norm)(float* x, const float* weight, const float* bias, std::size_t n);
  /// to[i] += value where bit i of `signs` is set, -= value where not; n at most 64.
  void (*add_signed)(std::uint64_t signs, float value, float* to, std::size_t n);
};

/// The kernels of this process: the widest set of the processor, or the set in the environment
/// variable NARFAST_ISA (avx512, avx2, neon, plain). Throws BadSetting for a set that is unknown or
/// that the processor lacks.
[[nodiscard]] const Kernels& kernels();

/// Every set that this processor can run, the plain one first.
[[nodiscard]] std::vector<const Kernels*> available_kernels();

namespace isa {
extern const Kernels kPlain;
#if defined(__x86_64__)
extern const Kernels kAvx2;
extern const Kernels kAvx512;
#elif defined(__aarch64__)
extern const Kernels kNeon;
#endif
}  // namespace isa

/// A matrix in panels, as `Kernels::product` reads it.
class PanelMatrix {
 public:
  PanelMatrix() = default;
  /// From weights [columns, depth] of linear layers (rows of the file are outputs), side by side,
  /// each beginning at a whole panel.
  PanelMatrix(std::span<const std::span<const float>> weights, std::size_t depth);

  [[nodiscard]] std::size_t depth() const { return depth_; }
  /// Columns, whole panels.
  [[nodiscard]] std::size_t width() const { return width_; }

  /// rows x depth times this: rows x width. `bias` has `width` numbers or none.
  void multiply(const Kernels& k, const float* a, std::size_t a_stride, std::size_t rows,
                const float* bias, float* c, std::size_t c_stride) const;

 private:
  std::size_t depth_ = 0;
  std::size_t width_ = 0;
  std::vector<float> panels_;
};

}  // namespace narfast
