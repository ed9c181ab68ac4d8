// Element-wise functions in exactly rounded operations: the same bits from lanes of any width.
// Coefficients are weighted minimax fits; kernels_test.cpp holds the error bounds against libm.
#pragma once

#include "narfast/encoder/lanes.h"

namespace narfast::isa {
namespace {

inline constexpr float kLog2E = 1.44269504f;
inline constexpr float kLn2High = 0.693359375f;  // few bits: its products are exact
inline constexpr float kLn2Low = -2.12194440e-4f;
inline constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer

/// The parts of e^x = scale * (1 + rest), for x clamped into [-87, 88].
template <class S>
struct ExpParts {
  typename S::Floats scale;
  typename S::Floats rest;

  explicit ExpParts(typename S::Floats x) {
    x = S::min(S::max(x, S::all(-87.0f)), S::all(88.0f));
    const auto shifted = S::fma(x, S::all(kLog2E), S::all(kRounder));
    const auto n = S::sub(shifted, S::all(kRounder));
    auto r = S::fma(n, S::all(-kLn2High), x);
    r = S::fma(n, S::all(-kLn2Low), r);
    auto q = S::all(0.00138116605f);
    q = S::fma(q, r, S::all(0.00837013498f));
    q = S::fma(q, r, S::all(0.0416685268f));
    q = S::fma(q, r, S::all(0.166665092f));
    q = S::fma(q, r, S::all(0.5f));
    rest = S::fma(S::mul(r, r), q, r);
    const auto power = S::sub_bits(S::bits(shifted), S::bits(S::all(kRounder)));
    scale = S::from_bits(S::to_exponent(S::add_bits(power, S::all_bits(127))));
  }
};

/// e^x for x in [-87, 88], clamped outside; at most 2 units in the last place off.
template <class S>
typename S::Floats exp(typename S::Floats x) {
  const ExpParts<S> e(x);
  return S::fma(e.rest, e.scale, e.scale);
}

/// e^x - 1 for x in [-87, 88]; at most 3 units in the last place off.
template <class S>
typename S::Floats expm1(typename S::Floats x) {
  const ExpParts<S> e(x);
  return S::fma(e.rest, e.scale, S::sub(e.scale, S::all(1.0f)));
}

/// log(1 + x) for x >= 0; at most 2 units in the last place off.
template <class S>
typename S::Floats log1p(typename S::Floats x) {
  const auto one = S::all(1.0f);
  const auto u = S::add(x, one);
  // What rounding took from u: for large x, u - 1 is exact and the order of the terms is another.
  const auto lost = S::where_less(x, one, S::sub(x, S::sub(u, one)), S::sub(one, S::sub(u, x)));
  // u = 2^e * m with m in [sqrt(1/2), sqrt(2)).
  const auto offset = S::bits(S::all(0.70710678f));
  const auto e = S::exponent(S::sub_bits(S::bits(u), offset));
  const auto m = S::from_bits(S::sub_bits(S::bits(u), S::to_exponent(e)));
  const auto f = S::sub(m, one);
  auto p = S::all(0.0674636438f);
  p = S::fma(p, f, S::all(-0.117159538f));
  p = S::fma(p, f, S::all(0.119099677f));
  p = S::fma(p, f, S::all(-0.124009773f));
  p = S::fma(p, f, S::all(0.142162114f));
  p = S::fma(p, f, S::all(-0.166681096f));
  p = S::fma(p, f, S::all(0.200022727f));
  p = S::fma(p, f, S::all(-0.250000089f));
  p = S::fma(p, f, S::all(0.333333105f));
  const auto square = S::mul(f, f);
  const auto power = S::to_floats(e);
  auto small = S::fma(S::mul(square, f), p, S::div(lost, u));
  small = S::fma(S::all(-0.5f), square, small);
  small = S::fma(power, S::all(kLn2Low), small);
  return S::fma(power, S::all(kLn2High), S::add(f, small));
}

/// x * Phi(x), Phi the distribution function of the normal distribution: the exact GELU.
/// Phi is off by at most 1.2e-7, two units in the last place of one.
template <class S>
typename S::Floats gelu(typename S::Floats x) {
  const auto half = S::all(0.5f);
  const auto z = S::mul(x, S::all(0.707106781f));
  const auto size = S::max(z, S::sub(S::all(0.0f), z));
  // Near zero 1/2 + erf(z)/2 by powers of z^2, elsewhere erfc(|z|)/2 by its logarithm.
  const auto square = S::mul(z, z);
  auto near = S::all(8.34522507e-05f);
  near = S::fma(near, square, S::all(-0.00081374374f));
  near = S::fma(near, square, S::all(0.00520063424f));
  near = S::fma(near, square, S::all(-0.0268592704f));
  near = S::fma(near, square, S::all(0.112836942f));
  near = S::fma(near, square, S::all(-0.376126349f));
  near = S::fma(near, square, S::all(0.128379166f));
  near = S::fma(half, S::fma(near, z, z), half);
  const auto bounded = S::min(size, S::all(10.0f));
  auto far = S::all(-2.11619063e-05f);
  far = S::fma(far, bounded, S::all(0.000435218884f));
  far = S::fma(far, bounded, S::all(-0.0041746432f));
  far = S::fma(far, bounded, S::all(0.0251286253f));
  far = S::fma(far, bounded, S::all(-0.108293943f));
  far = S::fma(far, bounded, S::all(-0.633334637f));
  far = S::fma(far, bounded, S::all(-1.12952077f));
  far = S::fma(far, bounded, S::all(0.000175874549f));
  far = S::mul(half, exp<S>(far));
  far = S::where_less(z, S::all(0.0f), far, S::sub(S::all(1.0f), far));
  return S::mul(x, S::where_less(size, S::all(0.92f), near, far));
}

template <class S>
typename S::Floats relu(typename S::Floats x) {
  return S::max(x, S::all(0.0f));
}

template <class S>
typename S::Floats elu(typename S::Floats x) {
  return S::where_less(x, S::all(0.0f), expm1<S>(S::min(x, S::all(0.0f))), x);
}

}  // namespace
}  // namespace narfast::isa
