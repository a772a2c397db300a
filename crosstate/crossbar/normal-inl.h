// Normal deviates of read noise: vectorised Philox and Box-Muller. Included once per instruction
// set.
#if defined(CROSSTATE_CROSSBAR_NORMAL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSTATE_CROSSBAR_NORMAL_INL_H_
#undef CROSSTATE_CROSSBAR_NORMAL_INL_H_
#else
#define CROSSTATE_CROSSBAR_NORMAL_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>

#include "crosstate/base/random.h"
#include "crosstate/crossbar/read_noise.h"
#include "crosstate/kernels/simd/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crosstate::crossbar {
namespace HWY_NAMESPACE {
using namespace kernels::HWY_NAMESPACE;
namespace hn = hwy::HWY_NAMESPACE;

// High and low halves of the 64-bit products of x with a constant.
struct Product {
  VU low, high;
};
HWY_INLINE Product multiply_wide(VU x, std::uint32_t by) {
#if HWY_TARGET == HWY_SCALAR
  const std::uint64_t product = std::uint64_t{hn::GetLane(x)} * by;
  return {hn::Set(du, static_cast<std::uint32_t>(product)),
          hn::Set(du, static_cast<std::uint32_t>(product >> 32))};
#else
  constexpr hn::RepartitionToWide<DU> wide;
  const VU factor = hn::Set(du, by);
  const auto even = hn::MulEven(x, factor);
  const auto odd = hn::MulEven(hn::BitCast(du, hn::ShiftRight<32>(hn::BitCast(wide, x))), factor);
  return {hn::OddEven(hn::BitCast(du, hn::ShiftLeft<32>(odd)), hn::BitCast(du, even)),
          hn::OddEven(hn::BitCast(du, odd), hn::BitCast(du, hn::ShiftRight<32>(even)))};
#endif
}

// Philox4x32-10 (Salmon et al., SC 2011), the same function as in base/random.h.
HWY_INLINE void philox_rounds(std::uint64_t seed, VU& a, VU& b, VU& c, VU& e) {
  auto k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const Product p = multiply_wide(a, 0xD2511F53u), q = multiply_wide(c, 0xCD9E8D57u);
    a = hn::Xor(hn::Xor(q.high, b), hn::Set(du, k0));
    b = q.low;
    c = hn::Xor(hn::Xor(p.high, e), hn::Set(du, k1));
    e = p.low;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

// ln(u) of a positive normal float: Cephes logf by Stephen Moshier.
HWY_INLINE V logarithm(V u) {
  const VI bits = hn::BitCast(di, u);
  // The exponent for which the mantissa is in [sqrt(1/2), sqrt(2)).
  const VI exponent = hn::ShiftRight<23>(hn::Sub(bits, hn::Set(di, 0x3F3504F3)));
  const V m = hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<23>(exponent)));
  const V x = hn::Sub(m, hn::Set(d, 1.0f));
  const V z = hn::Mul(x, x);
  V p = hn::Set(d, 7.0376836292e-2f);
  p = hn::MulAdd(p, x, hn::Set(d, -1.1514610310e-1f));
  p = hn::MulAdd(p, x, hn::Set(d, 1.1676998740e-1f));
  p = hn::MulAdd(p, x, hn::Set(d, -1.2420140846e-1f));
  p = hn::MulAdd(p, x, hn::Set(d, 1.4249322787e-1f));
  p = hn::MulAdd(p, x, hn::Set(d, -1.6668057665e-1f));
  p = hn::MulAdd(p, x, hn::Set(d, 2.0000714765e-1f));
  p = hn::MulAdd(p, x, hn::Set(d, -2.4999993993e-1f));
  p = hn::MulAdd(p, x, hn::Set(d, 3.3333331174e-1f));
  p = hn::MulAdd(hn::Mul(p, x), z, hn::Mul(z, hn::Set(d, -0.5f)));
  return hn::MulAdd(hn::ConvertTo(d, exponent), hn::Set(d, 0.69314718f), hn::Add(x, p));
}

// Two words determine the squared radius and the angle of a pair of normal deviates.
struct Pair {
  V squared_radius, first, second;
};
HWY_INLINE Pair box_muller(VU even, VU odd) {
  const V u = hn::MulAdd(hn::ConvertTo(d, hn::BitCast(di, hn::ShiftRight<8>(even))),
                         hn::Set(d, 0x1p-24f), hn::Set(d, 0x1p-25f));
  const V squared = hn::Max(hn::Zero(d), hn::Mul(hn::Set(d, -2.0f), logarithm(u)));

  const V step =
      hn::Add(hn::ConvertTo(d, hn::ShiftRight<8>(hn::BitCast(di, odd))), hn::Set(d, 0.5f));
  const V x = hn::Mul(step, hn::Set(d, 0.78539816f * 0x1p-23f));
  const V z = hn::Mul(x, x);
  V s = hn::Set(d, -1.9515295891e-4f);
  s = hn::MulAdd(s, z, hn::Set(d, 8.3321608736e-3f));
  s = hn::MulAdd(s, z, hn::Set(d, -1.6666654611e-1f));
  s = hn::MulAdd(hn::Mul(s, z), x, x);
  V c = hn::Set(d, 2.443315711809948e-5f);
  c = hn::MulAdd(c, z, hn::Set(d, -1.388731625493765e-3f));
  c = hn::MulAdd(c, z, hn::Set(d, 4.166664568298827e-2f));
  c = hn::MulAdd(hn::Mul(c, z), z, hn::MulAdd(z, hn::Set(d, -0.5f), hn::Set(d, 1.0f)));

  // Bit 0 mirrors the cosine, bit 1 exchanges sine and cosine: together they select the quadrant.
  c = hn::Xor(c, hn::BitCast(d, hn::ShiftLeft<31>(odd)));
  const auto swap = hn::MaskFromVec(
      hn::BitCast(d, hn::BroadcastSignBit(hn::BitCast(di, hn::ShiftLeft<30>(odd)))));
  return {squared, hn::IfThenElse(swap, s, c), hn::IfThenElse(swap, c, s)};
}

// The normal deviates of four columns that are read together, see add_read_noise().
struct FourNormals {
  V squared_radius[2], direction[4];

  // Words of the lanes starting at `lane`, in step `step` of the product. The third and fourth
  // column are computed only if they are among `count`.
  HWY_INLINE FourNormals(const ReadAddress& address, std::size_t step, std::size_t lane,
                         std::size_t column, std::size_t count) {
    VU w0 = hn::Set(du, address.step + static_cast<std::uint32_t>(step));
    VU w1 = hn::Iota(du, address.sequence + static_cast<std::uint32_t>(lane));
    VU w2 = hn::Set(du, address.array);
    VU w3 = hn::Set(
        du, static_cast<std::uint32_t>(Stream::kRead) + (static_cast<std::uint32_t>(column) << 8));
    philox_rounds(address.seed, w0, w1, w2, w3);
    set(0, box_muller(w0, w1));
    if (count > 2) set(1, box_muller(w2, w3));
  }
  HWY_INLINE void set(std::size_t pair, const Pair& p) {
    squared_radius[pair] = p.squared_radius;
    direction[2 * pair] = p.first;
    direction[2 * pair + 1] = p.second;
  }

  // x + sqrt(variance) times the deviate of a column.
  HWY_INLINE V disturb(std::size_t column, V variance, V x) const {
    const V radius = hn::Sqrt(hn::Mul(squared_radius[column / 2], variance));
    return hn::MulAdd(radius, direction[column], x);
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace crosstate::crossbar
HWY_AFTER_NAMESPACE();

#endif
