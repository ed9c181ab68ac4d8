// Every set of kernels gives the bits of a plain loop, and functions are as exact as they say.
#include "narfast/encoder/kernels.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <random>

namespace narfast {
namespace {

std::vector<float> noise(std::size_t count, unsigned seed, float spread = 1.0f) {
  std::mt19937 random(seed);
  std::vector<float> values(count);
  for (float& x : values) x = spread * (static_cast<float>(random()) / 2147483648.0f - 1.0f);
  return values;
}

/// Distance from `value` to what long double gives, in units in the last place of the latter.
double units(float value, long double exact) {
  const float nearest = static_cast<float>(std::fabs(exact));
  const float unit = std::nextafter(nearest, INFINITY) - nearest;
  return static_cast<double>(std::fabs(static_cast<long double>(value) - exact) /
                             static_cast<long double>(unit));
}

// Sizes around every border of blocks and vectors.
constexpr std::size_t kSizes[] = {0,  1,  3,  4,  5,  6,  7,  8,  11, 12, 13,
                                  15, 16, 17, 23, 24, 25, 31, 32, 33, 64, 97};

TEST_CASE("a product is one chain of multiply-adds over the inner dimension, in every set") {
  for (const Kernels* set : available_kernels()) {
    CAPTURE(set->name);
    for (std::size_t rows : kSizes) {
      for (std::size_t columns :
           {std::size_t{1}, std::size_t{31}, std::size_t{33}, std::size_t{96}}) {
        const std::size_t depth = 1 + rows % 19;
        const std::vector<float> a = noise(rows * depth, 1), b = noise(columns * depth, 2);
        const std::span<const float> weights[] = {b};
        const PanelMatrix matrix(weights, depth);
        std::vector<float> bias = noise(matrix.width(), 3), c(rows * matrix.width(), NAN);
        matrix.multiply(*set, a.data(), depth, rows, bias.data(), c.data(), matrix.width());
        bool same = true;
        for (std::size_t i = 0; i < rows; ++i)
          for (std::size_t j = 0; j < columns; ++j) {
            float sum = bias[j];
            for (std::size_t k = 0; k < depth; ++k)
              sum = std::fma(a[i * depth + k], b[j * depth + k], sum);
            same &= std::bit_cast<std::uint32_t>(sum) ==
                    std::bit_cast<std::uint32_t>(c[i * matrix.width() + j]);
          }
        CHECK(same);
      }
    }
  }
}

TEST_CASE("matrices side by side begin at whole panels") {
  const std::vector<float> first = noise(5 * 3, 1), second = noise(40 * 3, 2), x = noise(3, 3);
  const std::span<const float> weights[] = {first, second};
  const PanelMatrix both(weights, 3);
  CHECK(both.width() == 32 + 64);
  std::vector<float> c(both.width());
  both.multiply(kernels(), x.data(), 3, 1, nullptr, c.data(), c.size());
  for (std::size_t j : {std::size_t{0}, std::size_t{39}}) {
    float sum = 0;
    for (std::size_t k = 0; k < 3; ++k) sum = std::fma(x[k], second[j * 3 + k], sum);
    CHECK(c[32 + j] == sum);
  }
}

TEST_CASE("every set gives the bits of the plain one, whatever the length") {
  using OneArray = void (*)(const Kernels&, std::vector<float>&);
  const OneArray works[] = {
      [](const Kernels& k, std::vector<float>& x) { k.gelu(x.data(), x.size()); },
      [](const Kernels& k, std::vector<float>& x) { k.relu(x.data(), x.size()); },
      [](const Kernels& k, std::vector<float>& x) { k.elu(x.data(), x.size()); },
      [](const Kernels& k, std::vector<float>& x) { k.exp(x.data(), x.size()); },
      [](const Kernels& k, std::vector<float>& x) {
        k.relu(x.data(), x.size());
        k.log1p(x.data(), x.size());
      },
      [](const Kernels& k, std::vector<float>& x) { k.scale(1.7f, x.data(), x.size()); },
      [](const Kernels& k, std::vector<float>& x) {
        const std::vector<float> y = noise(x.size(), 5);
        k.add_scaled(0.3f, y.data(), x.data(), x.size());
        k.add_scaled_positive(3.0f, y.data(), x.data(), x.size());
        k.maximum(y.data(), x.data(), x.size());
        k.add(y.data(), x.data(), x.size());
      },
      [](const Kernels& k, std::vector<float>& x) {
        if (!x.empty()) x[0] = k.dot(x.data(), x.data(), x.size());
      },
      [](const Kernels& k, std::vector<float>& x) {
        const std::vector<float> weight = noise(x.size(), 6), bias = noise(x.size(), 7);
        if (!x.empty()) k.layer_norm(x.data(), weight.data(), bias.data(), x.size());
      },
      [](const Kernels& k, std::vector<float>& x) {
        k.add_signed(0xA5F0123456789ABCu, 0.37f, x.data(), std::min<std::size_t>(64, x.size()));
      },
  };
  for (const Kernels* set : available_kernels()) {
    CAPTURE(set->name);
    for (std::size_t n : kSizes) {
      for (std::size_t which = 0; which < std::size(works); ++which) {
        CAPTURE(which);
        std::vector<float> plain = noise(n, 4, 9.0f), other = plain;
        works[which](isa::kPlain, plain);
        works[which](*set, other);
        bool same = true;
        for (std::size_t i = 0; i < n; ++i)
          same &= std::bit_cast<std::uint32_t>(plain[i]) == std::bit_cast<std::uint32_t>(other[i]);
        CHECK(same);
      }
    }
  }
}

TEST_CASE("functions stay within their error bounds") {
  double worst_exp = 0, worst_elu = 0, worst_log1p = 0, worst_phi = 0;
  const auto value = [](void (*function)(float*, std::size_t), float x) {
    function(&x, 1);
    return x;
  };
  const Kernels& k = kernels();
  for (int step = 0; step <= 400'000; ++step) {
    const float t = static_cast<float>(step) / 400'000.0f;
    const float e = -87.0f + 175.0f * t;
    worst_exp = std::max(worst_exp, units(value(k.exp, e), std::exp(static_cast<long double>(e))));
    const float negative = -20.0f * t * t * t - 1e-30f;
    worst_elu = std::max(
        worst_elu, units(value(k.elu, negative), std::expm1(static_cast<long double>(negative))));
    const float positive = std::exp(-40.0f + 90.0f * t);
    worst_log1p = std::max(worst_log1p, units(value(k.log1p, positive),
                                              std::log1p(static_cast<long double>(positive))));
    const float g = -9.0f + 18.0f * t;
    const long double exact = g * std::erfc(-static_cast<long double>(g) / std::sqrt(2.0L)) / 2;
    const long double off = std::fabs(static_cast<long double>(value(k.gelu, g)) - exact);
    if (g != 0) worst_phi = std::max(worst_phi, static_cast<double>(off / std::fabs(g)));
  }
  MESSAGE("units in the last place: exp ", worst_exp, ", expm1 ", worst_elu, ", log1p ",
          worst_log1p, "; Phi of gelu absolutely ", worst_phi);
  CHECK(worst_exp <= 2.0);
  CHECK(worst_elu <= 3.0);
  CHECK(worst_log1p <= 2.0);
  CHECK(worst_phi <= 1.2e-7);
  CHECK(value(k.log1p, 0.0f) == 0.0f);
  CHECK(value(k.elu, 0.0f) == 0.0f);
  CHECK(value(k.gelu, 50.0f) == 50.0f);
  CHECK(std::fabs(value(k.gelu, -1000.0f)) < 1e-30f);
}

}  // namespace
}  // namespace narfast
