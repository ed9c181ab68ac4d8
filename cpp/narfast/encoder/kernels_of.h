// The kernels as templates over lanes; each kernels_*.cpp compiles them for one instruction set.
// As in lanes.h, nothing from the standard library is instantiated here.
#pragma once

#include "narfast/encoder/functions.h"
#include "narfast/encoder/kernels.h"

namespace narfast::isa {
namespace {

/// Rows x (kVectors * kWidth) outputs, kept in registers while the chain runs over `depth`.
template <class S, int Rows>
void product_block(const float* a, std::size_t a_stride, std::size_t depth, const float* b,
                   const float* bias, float* c, std::size_t c_stride) {
  typename S::Floats sum[Rows][S::kVectors];
  for (int v = 0; v < S::kVectors; ++v) {
    const auto begin = bias == nullptr ? S::all(0.0f) : S::load(bias + v * S::kWidth);
    for (int row = 0; row < Rows; ++row) sum[row][v] = begin;
  }
  for (std::size_t k = 0; k < depth; ++k) {
    typename S::Floats column[S::kVectors];
    for (int v = 0; v < S::kVectors; ++v) column[v] = S::load(b + k * kPanel + v * S::kWidth);
    for (int row = 0; row < Rows; ++row) {
      const auto x = S::all(a[static_cast<std::size_t>(row) * a_stride + k]);
      for (int v = 0; v < S::kVectors; ++v) sum[row][v] = S::fma(x, column[v], sum[row][v]);
    }
  }
  for (int row = 0; row < Rows; ++row)
    for (int v = 0; v < S::kVectors; ++v)
      S::store(c + static_cast<std::size_t>(row) * c_stride + v * S::kWidth, sum[row][v]);
}

/// The rows that are left over, fewer than `Rows`.
template <class S, int Rows>
void product_rest(std::size_t rows, const float* a, std::size_t a_stride, std::size_t depth,
                  const float* b, const float* bias, float* c, std::size_t c_stride) {
  if constexpr (Rows > 1) {
    if (rows == Rows - 1)
      product_block<S, Rows - 1>(a, a_stride, depth, b, bias, c, c_stride);
    else
      product_rest<S, Rows - 1>(rows, a, a_stride, depth, b, bias, c, c_stride);
  }
}

template <class S>
void product(const float* a, std::size_t a_stride, std::size_t rows, std::size_t depth,
             const float* b, std::size_t panels, const float* bias, float* c,
             std::size_t c_stride) {
  constexpr std::size_t kRows = static_cast<std::size_t>(S::kRows);
  constexpr std::size_t kColumns =
      static_cast<std::size_t>(S::kVectors) * static_cast<std::size_t>(S::kWidth);
  static_assert(kPanel % kColumns == 0);
  for (std::size_t panel = 0; panel < panels; ++panel) {
    for (std::size_t part = 0; part < kPanel; part += kColumns) {
      const float* from = b + panel * depth * kPanel + part;
      const std::size_t column = panel * kPanel + part;
      const float* begin = bias == nullptr ? nullptr : bias + column;
      std::size_t row = 0;
      for (; row + kRows <= rows; row += kRows)
        product_block<S, S::kRows>(a + row * a_stride, a_stride, depth, from, begin,
                                   c + row * c_stride + column, c_stride);
      product_rest<S, S::kRows>(rows - row, a + row * a_stride, a_stride, depth, from, begin,
                                c + row * c_stride + column, c_stride);
    }
  }
}

/// Calls `work` with lanes and a position: whole vectors first, single lanes for the rest.
template <class S, class Work>
void each(std::size_t n, Work work) {
  std::size_t i = 0;
  for (; i + static_cast<std::size_t>(S::kWidth) <= n; i += static_cast<std::size_t>(S::kWidth))
    work(S{}, i);
  for (; i < n; ++i) work(PlainLanes{}, i);
}

template <class S>
void add_scaled(float factor, const float* x, float* to, std::size_t n) {
  each<S>(n, [=](auto lanes, std::size_t i) {
    using L = decltype(lanes);
    L::store(to + i, L::fma(L::all(factor), L::load(x + i), L::load(to + i)));
  });
}

template <class S>
void add_scaled_positive(float factor, const float* x, float* to, std::size_t n) {
  each<S>(n, [=](auto lanes, std::size_t i) {
    using L = decltype(lanes);
    L::store(to + i, L::fma(L::all(factor), relu<L>(L::load(x + i)), L::load(to + i)));
  });
}

template <class S>
void add(const float* x, float* to, std::size_t n) {
  each<S>(n, [=](auto lanes, std::size_t i) {
    using L = decltype(lanes);
    L::store(to + i, L::add(L::load(x + i), L::load(to + i)));
  });
}

template <class S>
void scale(float factor, float* to, std::size_t n) {
  each<S>(n, [=](auto lanes, std::size_t i) {
    using L = decltype(lanes);
    L::store(to + i, L::mul(L::all(factor), L::load(to + i)));
  });
}

template <class S>
void maximum(const float* x, float* to, std::size_t n) {
  each<S>(n, [=](auto lanes, std::size_t i) {
    using L = decltype(lanes);
    L::store(to + i, L::max(L::load(x + i), L::load(to + i)));
  });
}

/// x = Function(x), element by element; `Function` takes lanes and their value.
template <class S, auto Function>
void apply(float* x, std::size_t n) {
  each<S>(n, [=](auto lanes, std::size_t i) {
    using L = decltype(lanes);
    L::store(x + i, Function(lanes, L::load(x + i)));
  });
}

/// Sixteen chains, one for each remainder of the position, added pairwise; `step` takes a chain one
/// vector further.
template <class S, class Step>
float chains(std::size_t n, Step step) {
  constexpr std::size_t kChains = 16;
  constexpr std::size_t kWidth = static_cast<std::size_t>(S::kWidth);
  float sum[kChains];
  for (std::size_t part = 0; part < kChains; part += kWidth) {
    auto chain = S::all(0.0f);
    for (std::size_t i = part; i + kWidth <= n / kChains * kChains; i += kChains)
      chain = step(S{}, i, chain);
    S::store(sum + part, chain);
  }
  for (std::size_t i = n / kChains * kChains; i < n; ++i)
    sum[i % kChains] = step(PlainLanes{}, i, sum[i % kChains]);
  for (std::size_t half = kChains / 2; half > 0; half /= 2)
    for (std::size_t i = 0; i < half; ++i) sum[i] = sum[i] + sum[i + half];
  return sum[0];
}

template <class S>
float dot(const float* x, const float* y, std::size_t n) {
  return chains<S>(n, [=](auto lanes, std::size_t i, auto sum) {
    using L = decltype(lanes);
    return L::fma(L::load(x + i), L::load(y + i), sum);
  });
}

template <class S>
void layer_norm(float* x, const float* weight, const float* bias, std::size_t n) {
  const float count = static_cast<float>(n);
  const float mean = chains<S>(n,
                               [=](auto lanes, std::size_t i, auto sum) {
                                 using L = decltype(lanes);
                                 return L::add(sum, L::load(x + i));
                               }) /
                     count;
  const float variance = chains<S>(n,
                                   [=](auto lanes, std::size_t i, auto sum) {
                                     using L = decltype(lanes);
                                     const auto d = L::sub(L::load(x + i), L::all(mean));
                                     return L::fma(d, d, sum);
                                   }) /
                         count;
  const float inverse = 1.0f / __builtin_sqrtf(variance + 1e-5f);
  each<S>(n, [=](auto lanes, std::size_t i) {
    using L = decltype(lanes);
    const auto d = L::mul(L::sub(L::load(x + i), L::all(mean)), L::all(inverse));
    L::store(x + i, L::fma(d, L::load(weight + i), L::load(bias + i)));
  });
}

template <class S>
void add_signed(std::uint64_t signs, float value, float* to, std::size_t n) {
  // The sign bit is what the mask does not set: value with its sign turned where the bit is clear.
  const int bits = __builtin_bit_cast(int, value);
  float turned[64];
  for (std::size_t i = 0; i < n; ++i) {
    const auto clear = static_cast<std::uint32_t>(~(signs >> i) & 1u);
    turned[i] = __builtin_bit_cast(float, bits ^ static_cast<int>(clear << 31));
  }
  add<S>(turned, to, n);
}

template <class S>
constexpr Kernels kernels_of(std::string_view name) noexcept {
  return {name,
          product<S>,
          add_scaled<S>,
          add_scaled_positive<S>,
          add<S>,
          scale<S>,
          maximum<S>,
          apply<S, [](auto lanes, auto x) { return gelu<decltype(lanes)>(x); }>,
          apply<S, [](auto lanes, auto x) { return relu<decltype(lanes)>(x); }>,
          apply<S, [](auto lanes, auto x) { return elu<decltype(lanes)>(x); }>,
          apply<S, [](auto lanes, auto x) { return exp<decltype(lanes)>(x); }>,
          apply<S, [](auto lanes, auto x) { return log1p<decltype(lanes)>(x); }>,
          dot<S>,
          layer_norm<S>,
          add_signed<S>};
}

}  // namespace
}  // namespace narfast::isa
