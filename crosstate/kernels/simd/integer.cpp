#include "crosstate/kernels/integer.h"

#include <algorithm>
#include <cmath>

#include "crosstate/kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "crosstate/kernels/simd/integer.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "crosstate/kernels/simd/lanes-inl.h"
#include "crosstate/kernels/simd/rounding-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crosstate::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A vector of doubles, and of the same number of floats.
using DD = hn::CappedTag<double, kLanes>;
using DF = hn::Rebind<float, DD>;
using VD = hn::Vec<DD>;
constexpr DD dd;
constexpr DF df;
constexpr std::size_t kWide = hn::MaxLanes(DD());

// A requantizer in floats decides all values except those so close to the midpoint between two
// codes that its error could change the code, and those at the midpoint; these are computed in
// doubles, which are exact. The factors, the products and the sum are each rounded once: in total
// less than 2^-22 (|p first| + |q second| + 1), in codes, where |p first| exceeds |q second| by at
// most the magnitude of the codes, unless the sum is far outside them. If all sums are multiples of
// a power of two that floats represent, half of it, which decides at midpoints, removes all
// ambiguity.
constexpr float kDoubt = 0x1p-22f, kHeld = 0x1p24f;

struct Exact {
  VD first, second, half, inverse;
};

HWY_INLINE VD exact_code(const Exact& f, VD low, VD high, const float* p, const float* q) {
  VD sum = hn::MulAdd(hn::PromoteTo(dd, hn::Load(df, p)), f.first, f.half);
  if (q != nullptr) sum = hn::MulAdd(hn::PromoteTo(dd, hn::Load(df, q)), f.second, sum);
  return hn::Min(hn::Max(hn::Floor(hn::Mul(sum, f.inverse)), low), high);
}

// Codes of `count` values, a multiple of kN; `exact(v)` are the factors starting at value v.
template <class ExactFactors>
HWY_NOINLINE void requantize_exactly(const LaneRequantizer& r, const ExactFactors& exact,
                                     std::size_t count, const float* p, const float* q,
                                     float* out) {
  const VD low = hn::Set(dd, static_cast<double>(r.low));
  const VD high = hn::Set(dd, static_cast<double>(r.high));
  for (std::size_t v = 0; v < count; v += kWide) {
    const VD code = exact_code(exact(v), low, high, p + v, q != nullptr ? q + v : nullptr);
    hn::Store(hn::DemoteTo(df, code), df, out + v);
  }
}

// Table entries for codes, `low` being the lowest code, one vector after another.
template <std::size_t kVectors>
HWY_INLINE void gather(const LaneTable& table, V low, V (&code)[kVectors]) {
  for (V& c : code) c = hn::GatherIndex(d, table.values, hn::ConvertTo(di, hn::Sub(c, low)));
}

#if HWY_TARGET == HWY_SCALAR

template <std::size_t kVectors>
HWY_INLINE void look_up(const LaneTable& table, V low, V (&code)[kVectors]) {
  gather(table, low, code);
}

#else

using DB = hn::Repartition<std::uint8_t, D>;
using VB = hn::Vec<DB>;
constexpr DB db;
constexpr std::size_t kEntries = 16;  // of a table in one shuffle

// One of 2^kBits parts of a table, selected bit by bit: upper[i] is the mask of bit i of the index
// of the part.
template <std::size_t kBits>
HWY_INLINE VB part_entries(const std::uint8_t* bytes, VB entry, const VB (&upper)[4]) {
  if constexpr (kBits == 0) {
    return hn::TableLookupBytes(hn::LoadDup128(db, bytes), entry);
  } else {
    constexpr std::size_t kHalf = kEntries << (kBits - 1);
    const VB no = part_entries<kBits - 1>(bytes, entry, upper);
    const VB yes = part_entries<kBits - 1>(bytes + kHalf, entry, upper);
    return hn::IfVecThenElse(upper[kBits - 1], yes, no);
  }
}

// Shuffle index that selects byte v of every word and zeros for the others.
constexpr std::uint8_t kNone = 0x80;
alignas(16) constexpr std::uint8_t kByteOfWords[4][16] = {
    {0, kNone, kNone, kNone, 4, kNone, kNone, kNone, 8, kNone, kNone, kNone, 12, kNone, kNone,
     kNone},
    {1, kNone, kNone, kNone, 5, kNone, kNone, kNone, 9, kNone, kNone, kNone, 13, kNone, kNone,
     kNone},
    {2, kNone, kNone, kNone, 6, kNone, kNone, kNone, 10, kNone, kNone, kNone, 14, kNone, kNone,
     kNone},
    {3, kNone, kNone, kNone, 7, kNone, kNone, kNone, 11, kNone, kNone, kNone, 15, kNone, kNone,
     kNone}};

// Four vectors at once, as the four bytes of every word: a gather takes several times as long as
// shuffles of tables in registers.
template <std::size_t kVectors>
HWY_INLINE void look_up(const LaneTable& table, V low, V (&code)[kVectors]) {
  if constexpr (kVectors != 4) {
    gather(table, low, code);
  } else {
    if (table.bytes == nullptr) return gather(table, low, code);
    // An integer plus 2^23 has it in its lowest bits, under those of 2^23.
    const V one = hn::Set(d, 0x1p23f), from_low = hn::Sub(one, low);
    const auto word = [&](V c) { return hn::BitCast(du, hn::Add(c, from_low)); };
    const VU lowest = hn::Xor(word(code[0]), hn::BitCast(du, one));
    const VU words =
        hn::Xor(hn::Xor(lowest, hn::ShiftLeft<8>(word(code[1]))),
                hn::Xor(hn::ShiftLeft<16>(word(code[2])), hn::ShiftLeft<24>(word(code[3]))));
    const VB index = hn::BitCast(db, words);
    const VB entry = hn::And(index, hn::Set(db, kEntries - 1));
    // Bits 4 to 7 of every index as masks.
    const hn::RebindToSigned<DB> signs;
    const auto mask = [&](VU shifted) {
      return hn::BitCast(db, hn::BroadcastSignBit(hn::BitCast(signs, shifted)));
    };
    const VB upper[4] = {mask(hn::ShiftLeft<3>(words)), mask(hn::ShiftLeft<2>(words)),
                         mask(hn::ShiftLeft<1>(words)), mask(words)};
    const VB found = part_entries<4>(table.bytes, entry, upper);
    const V base = hn::Set(d, table.lowest);
    for (std::size_t v = 0; v < 4; ++v) {
      const VB byte = hn::TableLookupBytesOr0(found, hn::LoadDup128(db, kByteOfWords[v]));
      code[v] = hn::Add(hn::ConvertTo(d, hn::BitCast(di, byte)), base);
    }
  }
}

#endif

struct Bounds {
  explicit Bounds(const LaneRequantizer& r)
      : low(hn::Set(d, r.low)),
        high(hn::Set(d, r.high)),
        codes(hn::Set(d, std::max(std::abs(r.low), std::abs(r.high)) + 3)),
        second_most(hn::Set(d, 2 * r.second_most)) {}
  // The distance from a code up to which floats decide.
  HWY_INLINE V sure(V second, V tie) const {
    const V size = hn::MulAdd(second_most, hn::Abs(second), codes);
    const V distance = hn::NegMulAdd(hn::Set(d, kDoubt), size, hn::Set(d, 0.5f));
    return hn::IfThenElse(hn::Lt(size, hn::Mul(tie, hn::Set(d, kHeld))), hn::Set(d, 1.0f),
                          distance);
  }
  V low, high, codes, second_most;
};

// Factors of one row, or of single elements.
struct Factors {
  V first, second, tie, sure;
};

// Requantizes kVectors vectors with float factors. False if a value is too close to a rounding
// boundary.
template <bool kTwo, std::size_t kVectors>
HWY_INLINE bool requantize_fast(const Bounds& bounds, const Factors& f, const float* p,
                                const float* q, V (&code)[kVectors]) {
  V farthest = hn::Zero(d);
  for (std::size_t v = 0; v < kVectors; ++v) {
    const V a = hn::Load(d, p + v * kN);
    V sum = f.tie;
    if constexpr (kTwo) sum = hn::MulAdd(hn::Load(d, q + v * kN), f.second, sum);
    sum = hn::MulAdd(a, f.first, sum);
    sum = hn::Min(hn::Max(sum, bounds.low), bounds.high);
    code[v] = hn::Round(sum);
    farthest = hn::Max(farthest, hn::Abs(hn::Sub(sum, code[v])));
  }
  return hn::AllTrue(d, hn::Lt(farthest, f.sure));
}

template <bool kTwo, std::size_t kVectors, class ExactFactors>
HWY_INLINE void requantize(const LaneRequantizer& r, const Bounds& bounds, const Factors& f,
                           const ExactFactors& exact, const float* p, const float* q, float* out) {
  V code[kVectors];
  if (HWY_UNLIKELY((!requantize_fast<kTwo>(bounds, f, p, q, code)))) {
    alignas(64) float codes[kVectors * kN];
    requantize_exactly(r, exact, kVectors * kN, p, q, codes);
    for (std::size_t v = 0; v < kVectors; ++v) code[v] = hn::Load(d, codes + v * kN);
  }
  if (r.table != nullptr) look_up(*r.table, bounds.low, code);
  for (std::size_t v = 0; v < kVectors; ++v) hn::Store(code[v], d, out + v * kN);
}

template <bool kTwo>
void requantize_rows_of(const LaneRequantizer& r, std::size_t rows, std::size_t columns,
                        ConstRows p, ConstRows q, Rows out) {
  constexpr std::size_t kBlock = 4;  // vectors that share a branch
  const Bounds bounds(r);
  for (std::size_t i = 0; i < rows; ++i) {
    const Exact factors{hn::Set(dd, r.first[i]), kTwo ? hn::Set(dd, r.second[i]) : hn::Zero(dd),
                        hn::Set(dd, r.half[i]), hn::Set(dd, r.inverse[i])};
    const auto exact = [&](std::size_t) { return factors; };
    const V second = hn::Set(d, kTwo ? r.fast_second[i] : 0.0f), tie = hn::Set(d, r.tie[i]);
    const Factors f{hn::Set(d, r.fast_first[i]), second, tie, bounds.sure(second, tie)};
    const float* const a = p.row(i);
    const float* const b = kTwo ? q.row(i) : nullptr;
    float* const to = out.row(i);
    std::size_t c = 0;
    for (; c + kBlock * kN <= columns; c += kBlock * kN) {
      requantize<kTwo, kBlock>(r, bounds, f, exact, a + c, kTwo ? b + c : nullptr, to + c);
    }
    for (; c < columns; c += kN) {
      requantize<kTwo, 1>(r, bounds, f, exact, a + c, kTwo ? b + c : nullptr, to + c);
    }
  }
}

void RequantizeRows(const LaneRequantizer& r, std::size_t rows, std::size_t columns, ConstRows p,
                    ConstRows q, Rows out) {
  if (r.second != nullptr) {
    requantize_rows_of<true>(r, rows, columns, p, q, out);
  } else {
    requantize_rows_of<false>(r, rows, columns, p, q, out);
  }
}

template <bool kTwo>
void requantize_each_of(const LaneRequantizer& r, std::size_t count, const float* p, const float* q,
                        float* out) {
  const Bounds bounds(r);
  for (std::size_t i = 0; i < count; i += kN) {
    const auto exact = [&](std::size_t v) {
      return Exact{hn::Load(dd, r.first + i + v),
                   kTwo ? hn::Load(dd, r.second + i + v) : hn::Zero(dd),
                   hn::Load(dd, r.half + i + v), hn::Load(dd, r.inverse + i + v)};
    };
    const V second = kTwo ? hn::Load(d, r.fast_second + i) : hn::Zero(d);
    const V tie = hn::Load(d, r.tie + i);
    const Factors f{hn::Load(d, r.fast_first + i), second, tie, bounds.sure(second, tie)};
    requantize<kTwo, 1>(r, bounds, f, exact, p + i, kTwo ? q + i : nullptr, out + i);
  }
}

void RequantizeEach(const LaneRequantizer& r, std::size_t count, const float* p, const float* q,
                    float* out) {
  if (r.second != nullptr) {
    requantize_each_of<true>(r, count, p, q, out);
  } else {
    requantize_each_of<false>(r, count, p, q, out);
  }
}

template <bool kComplex>
HWY_INLINE void shaped_scan_step(const StreamModes& m, const float* HWY_RESTRICT u,
                                 const StreamState& s, float* HWY_RESTRICT y) {
  const HeldShaping shaping{HeldSums(m.limit)};
  for (std::size_t c = 0; c < m.channels; c += kN) {
    const V in = hn::Load(d, u + c);
    V out = hn::Zero(d);
    for (std::size_t n = 0; n < m.modes; ++n) {
      const std::size_t i = n * m.channels + c;
      const Residue residue(hn::Load(d, m.rest + i), hn::Load(di, m.keep + i));
      const V ar = hn::Load(d, m.ar + i), re = hn::Load(d, s.xr + i);
      V kept, next = hn::MulAdd(ar, re, hn::Load(d, s.er + i));
      if constexpr (kComplex) {
        const V ai = hn::Load(d, m.ai + i), im = hn::Load(d, s.xi + i);
        next = hn::NegMulAdd(ai, im, next);
        const V sum = hn::MulAdd(ar, im, hn::MulAdd(ai, re, hn::Load(d, s.ei + i)));
        const V other = shaping.round(sum, residue, kept);
        hn::Store(other, d, s.xi + i);
        hn::Store(kept, d, s.ei + i);
        out = hn::NegMulAdd(hn::Load(d, m.ci + i), other, out);
      }
      next = shaping.round(hn::MulAdd(hn::Load(d, m.b + i), in, next), residue, kept);
      hn::Store(next, d, s.xr + i);
      hn::Store(kept, d, s.er + i);
      out = hn::MulAdd(hn::Load(d, m.cr + i), next, out);
    }
    hn::Store(out, d, y + c);
  }
}

template <bool kComplex, Rounding kRounding>
HWY_INLINE void scan_step(const StreamModes& m, std::uint32_t step, const float* HWY_RESTRICT u,
                          const StreamState& s, float* HWY_RESTRICT y) {
  const Saturation saturation(m.limit);
  const Spread spread;
  for (std::size_t c = 0; c < m.channels; c += kN) {
    const V in = hn::Load(d, u + c);
    V out = hn::Zero(d);
    for (std::size_t n = 0; n < m.modes; ++n) {
      const std::size_t i = n * m.channels + c;
      Offsets offset{saturation.tie, saturation.tie};
      if constexpr (kRounding == Rounding::kStochastic) {
        offset = draw_offsets(spread, spread, hn::Load(du, m.keys + i), step);
      }
      const V ar = hn::Load(d, m.ar + i), re = hn::Load(d, s.xr + i);
      V next = hn::MulAdd(ar, re, hn::MulAdd(hn::Load(d, m.b + i), in, offset.re));
      if constexpr (kComplex) {
        const V ai = hn::Load(d, m.ai + i), im = hn::Load(d, s.xi + i);
        next = hn::NegMulAdd(ai, im, next);
        const V sum = hn::MulAdd(ar, im, hn::MulAdd(ai, re, offset.im));
        const V other = saturation.round<kRounding, Form::kDirect>(sum);
        hn::Store(other, d, s.xi + i);
        out = hn::NegMulAdd(hn::Load(d, m.ci + i), other, out);
      }
      next = saturation.round<kRounding, Form::kDirect>(next);
      hn::Store(next, d, s.xr + i);
      out = hn::MulAdd(hn::Load(d, m.cr + i), next, out);
    }
    hn::Store(out, d, y + c);
  }
}

void shaped_scan_step_of(const StreamModes& m, const float* u, const StreamState& s, float* y) {
  if (m.ai != nullptr) {
    shaped_scan_step<true>(m, u, s, y);
  } else {
    shaped_scan_step<false>(m, u, s, y);
  }
}

template <Rounding kRounding>
void scan_step_of(const StreamModes& m, std::uint32_t step, const float* u, const StreamState& s,
                  float* y) {
  if (m.ai != nullptr) {
    scan_step<true, kRounding>(m, step, u, s, y);
  } else {
    scan_step<false, kRounding>(m, step, u, s, y);
  }
}

void StreamScan(const StreamModes& m, std::uint32_t step, const float* u, const StreamState& s,
                float* y) {
  switch (m.rounding) {
    case RoundingMode::kNearest:
      return scan_step_of<Rounding::kNearest>(m, step, u, s, y);
    case RoundingMode::kStochastic:
      return scan_step_of<Rounding::kStochastic>(m, mix(step), u, s, y);
    case RoundingMode::kNoiseShaped:
      return shaped_scan_step_of(m, u, s, y);
  }
}

void StreamLinear(const float* HWY_RESTRICT transposed, const float* HWY_RESTRICT bias,
                  std::size_t inputs, std::size_t outputs, const float* HWY_RESTRICT x,
                  float* HWY_RESTRICT y) {
  for (std::size_t o = 0; o < outputs; o += kN) {
    // Two accumulators, to shorten the dependency chain.
    V even = hn::Load(d, bias + o), odd = hn::Zero(d);
    std::size_t i = 0;
    for (; i + 1 < inputs; i += 2) {
      const float* w = transposed + i * outputs + o;
      even = hn::MulAdd(hn::Set(d, x[i]), hn::Load(d, w), even);
      odd = hn::MulAdd(hn::Set(d, x[i + 1]), hn::Load(d, w + outputs), odd);
    }
    if (i < inputs) {
      even = hn::MulAdd(hn::Set(d, x[i]), hn::Load(d, transposed + i * outputs + o), even);
    }
    hn::Store(hn::Add(even, odd), d, y + o);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace crosstate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crosstate::kernels {

HWY_EXPORT(RequantizeRows);
HWY_EXPORT(RequantizeEach);
HWY_EXPORT(StreamScan);
HWY_EXPORT(StreamLinear);

void requantize_rows(const LaneRequantizer& r, std::size_t rows, std::size_t columns, ConstRows p,
                     ConstRows q, Rows out) {
  HWY_DYNAMIC_DISPATCH(RequantizeRows)(r, rows, columns, p, q, out);
}

void requantize_each(const LaneRequantizer& r, std::size_t count, const float* p, const float* q,
                     float* out) {
  HWY_DYNAMIC_DISPATCH(RequantizeEach)(r, count, p, q, out);
}

void stream_scan(const StreamModes& modes, std::uint32_t step, const float* u,
                 const StreamState& state, float* y) {
  HWY_DYNAMIC_DISPATCH(StreamScan)(modes, step, u, state, y);
}

void stream_linear(const float* transposed, const float* bias, std::size_t inputs,
                   std::size_t outputs, const float* x, float* y) {
  HWY_DYNAMIC_DISPATCH(StreamLinear)(transposed, bias, inputs, outputs, x, y);
}

}  // namespace crosstate::kernels
#endif
