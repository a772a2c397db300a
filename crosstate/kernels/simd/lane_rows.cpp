// Rows and panels are transposed in registers: with AVX-512 16 columns of 16 lanes at once, which
// is one cache line of every lane. Lines of the lanes are often a multiple of 4 KiB apart and then
// displace each other in the cache, so none is read or written twice.
#include "crosstate/kernels/lane_rows.h"

#include "crosstate/kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "crosstate/kernels/simd/lane_rows.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "crosstate/kernels/simd/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crosstate::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR

// Exchanges rows and columns of four vectors within every block of four lanes.
template <class Tag>
HWY_INLINE void transpose_four(Tag tag, hn::Vec<Tag>* x) {
  const hn::RepartitionToWide<Tag> wide;
  const auto low = [&](auto a, auto b) {
    return hn::BitCast(tag, hn::InterleaveLower(wide, hn::BitCast(wide, a), hn::BitCast(wide, b)));
  };
  const auto high = [&](auto a, auto b) {
    return hn::BitCast(tag, hn::InterleaveUpper(wide, hn::BitCast(wide, a), hn::BitCast(wide, b)));
  };
  const auto a = hn::InterleaveLower(tag, x[0], x[1]), b = hn::InterleaveUpper(tag, x[0], x[1]);
  const auto c = hn::InterleaveLower(tag, x[2], x[3]), e = hn::InterleaveUpper(tag, x[2], x[3]);
  x[0] = low(a, c);
  x[1] = high(a, c);
  x[2] = low(b, e);
  x[3] = high(b, e);
}

#endif

// Four columns of four lanes.
HWY_INLINE void four_to_panel(const float* const* lane, std::ptrdiff_t at, std::size_t by_column,
                              float* panel) {
#if HWY_TARGET == HWY_SCALAR
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t k = 0; k < 4; ++k) {
      panel[k * by_column + i] = lane[i][at + static_cast<std::ptrdiff_t>(k)];
    }
  }
#else
  const hn::FixedTag<float, 4> four;
  hn::Vec<hn::FixedTag<float, 4> > x[4];
  for (std::size_t i = 0; i < 4; ++i) x[i] = hn::LoadU(four, lane[i] + at);
  transpose_four(four, x);
  for (std::size_t k = 0; k < 4; ++k) hn::Store(x[k], four, panel + k * by_column);
#endif
}

HWY_INLINE void four_from_panel(const float* panel, std::size_t by_column, float* const* lane,
                                std::ptrdiff_t at) {
#if HWY_TARGET == HWY_SCALAR
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t k = 0; k < 4; ++k) {
      lane[i][at + static_cast<std::ptrdiff_t>(k)] = panel[k * by_column + i];
    }
  }
#else
  const hn::FixedTag<float, 4> four;
  hn::Vec<hn::FixedTag<float, 4> > x[4];
  for (std::size_t k = 0; k < 4; ++k) x[k] = hn::Load(four, panel + k * by_column);
  transpose_four(four, x);
  for (std::size_t i = 0; i < 4; ++i) hn::StoreU(x[i], four, lane[i] + at);
#endif
}

constexpr std::size_t kTile = 16;

#if HWY_ARCH_X86 && HWY_MAX_BYTES == 64

HWY_INLINE void transpose_tile(V (&x)[kTile]) {
  for (std::size_t g = 0; g < kTile; g += 4) transpose_four(d, x + g);
  // Then the blocks of vectors n, n + 4, n + 8 and n + 12.
  for (std::size_t n = 0; n < 4; ++n) {
    const V a = x[n], b = x[n + 4], c = x[n + 8], e = x[n + 12];
    const V even_ab = hn::OddEvenBlocks(hn::SwapAdjacentBlocks(b), a);
    const V odd_ab = hn::OddEvenBlocks(b, hn::SwapAdjacentBlocks(a));
    const V even_ce = hn::OddEvenBlocks(hn::SwapAdjacentBlocks(e), c);
    const V odd_ce = hn::OddEvenBlocks(e, hn::SwapAdjacentBlocks(c));
    x[n] = hn::ConcatLowerLower(d, even_ce, even_ab);
    x[n + 4] = hn::ConcatLowerLower(d, odd_ce, odd_ab);
    x[n + 8] = hn::ConcatUpperUpper(d, even_ce, even_ab);
    x[n + 12] = hn::ConcatUpperUpper(d, odd_ce, odd_ab);
  }
}

HWY_INLINE void tile_to_panel(const float* const* lane, std::ptrdiff_t at, std::size_t by_column,
                              float* panel) {
  V x[kTile];
  for (std::size_t i = 0; i < kTile; ++i) x[i] = hn::LoadU(d, lane[i] + at);
  transpose_tile(x);
  for (std::size_t n = 0; n < kTile; ++n) hn::Store(x[n], d, panel + n * by_column);
}

HWY_INLINE void tile_from_panel(const float* panel, std::size_t by_column, float* const* lane,
                                std::ptrdiff_t at) {
  V x[kTile];
  for (std::size_t n = 0; n < kTile; ++n) x[n] = hn::Load(d, panel + n * by_column);
  transpose_tile(x);
  for (std::size_t i = 0; i < kTile; ++i) hn::StoreU(x[i], d, lane[i] + at);
}

#else

HWY_INLINE void tile_to_panel(const float* const* lane, std::ptrdiff_t at, std::size_t by_column,
                              float* panel) {
  for (std::size_t i = 0; i < kLanes; i += 4) {
    for (std::size_t n = 0; n < kTile; n += 4) {
      four_to_panel(lane + i, at + static_cast<std::ptrdiff_t>(n), by_column,
                    panel + n * by_column + i);
    }
  }
}

HWY_INLINE void tile_from_panel(const float* panel, std::size_t by_column, float* const* lane,
                                std::ptrdiff_t at) {
  for (std::size_t i = 0; i < kLanes; i += 4) {
    for (std::size_t n = 0; n < kTile; n += 4) {
      four_from_panel(panel + n * by_column + i, by_column, lane + i,
                      at + static_cast<std::ptrdiff_t>(n));
    }
  }
}

#endif

void ToPanel(const LaneRows<const float>& from, std::size_t rows, std::size_t columns,
             PanelPlaces places, float* panel) {
  for (std::size_t r = 0; r < rows; ++r) {
    std::ptrdiff_t at = static_cast<std::ptrdiff_t>(r) * from.by_row;
    float* to = panel + r * places.by_row;
    const float* const* const lane = from.lane;
    std::size_t left = columns;
    const auto pass = [&](std::size_t count) {
      at += static_cast<std::ptrdiff_t>(count);
      to += count * places.by_column;
      left -= count;
    };
    for (; left >= kTile; pass(kTile)) tile_to_panel(lane, at, places.by_column, to);
    for (; left >= 4; pass(4)) {
      for (std::size_t i = 0; i < kLanes; i += 4) {
        four_to_panel(lane + i, at, places.by_column, to + i);
      }
    }
    for (; left > 0; pass(1)) {
      for (std::size_t i = 0; i < kLanes; ++i) to[i] = lane[i][at];
    }
  }
}

void FromPanel(const float* panel, PanelPlaces places, std::size_t rows, std::size_t columns,
               const LaneRows<float>& to) {
  for (std::size_t r = 0; r < rows; ++r) {
    std::ptrdiff_t at = static_cast<std::ptrdiff_t>(r) * to.by_row;
    const float* from = panel + r * places.by_row;
    float* const* const lane = to.lane;
    std::size_t left = columns;
    const auto pass = [&](std::size_t count) {
      at += static_cast<std::ptrdiff_t>(count);
      from += count * places.by_column;
      left -= count;
    };
    for (; left >= kTile; pass(kTile)) tile_from_panel(from, places.by_column, lane, at);
    for (; left >= 4; pass(4)) {
      for (std::size_t i = 0; i < kLanes; i += 4) {
        four_from_panel(from + i, places.by_column, lane + i, at);
      }
    }
    for (; left > 0; pass(1)) {
      for (std::size_t i = 0; i < kLanes; ++i) lane[i][at] = from[i];
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace crosstate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crosstate::kernels {

HWY_EXPORT(ToPanel);
HWY_EXPORT(FromPanel);

void to_panel(const LaneRows<const float>& from, std::size_t rows, std::size_t columns,
              PanelPlaces places, float* panel) {
  HWY_DYNAMIC_DISPATCH(ToPanel)(from, rows, columns, places, panel);
}

void from_panel(const float* panel, PanelPlaces places, std::size_t rows, std::size_t columns,
                const LaneRows<float>& to) {
  HWY_DYNAMIC_DISPATCH(FromPanel)(panel, places, rows, columns, to);
}

}  // namespace crosstate::kernels
#endif
