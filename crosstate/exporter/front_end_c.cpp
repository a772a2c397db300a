#include "crosstate/exporter/front_end_c.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"
#include "crosstate/exporter/c_text.h"
#include "crosstate/exporter/golden.h"
#include "crosstate/integer/code_map.h"
#include "crosstate/integer/reference.h"

namespace crosstate::exporter {
namespace {

using data::IntegerBands;
using data::IntegerFrontEnd;

// Replaces every @KEY@ of a template.
class Template {
 public:
  Template& set(std::string key, std::string value) {
    values_.emplace_back('@' + std::move(key) + '@', std::move(value));
    return *this;
  }
  std::string operator()(std::string_view text) const {
    std::string result(text);
    for (const auto& [key, value] : values_) {
      for (std::size_t at = 0; (at = result.find(key, at)) != std::string::npos;) {
        result.replace(at, key.size(), value);
        at += value.size();
      }
    }
    return result;
  }

 private:
  std::vector<std::pair<std::string, std::string>> values_;
};

constexpr std::string_view kHeader =
    R"(/* Front end of %n%: 16-bit samples to input codes, in whole numbers. */
#ifndef %N%_FRONT_END_H
#define %N%_FRONT_END_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define %N%_FRONT_END_RATE @rate@ /* samples per second */
#define %N%_FRONT_END_HOP @full_hop@ /* samples per frame */
#define %N%_FRONT_END_FEATURES @features@ /* codes per frame */

@types@/* The members are private. */
typedef struct {
@members@} %n%_front_end;

/* Resets to silence; call it before the first sample. */
void %n%_front_end_reset(%n%_front_end *front_end);

/* Adds one sample. If it completes a frame, writes its codes, the inputs of one time step, and returns 1;
   otherwise returns 0. */
int %n%_front_end_push(%n%_front_end *front_end, int16_t sample,
    int32_t codes[%N%_FRONT_END_FEATURES]);

#ifdef __cplusplus
}
#endif

#endif
)";

constexpr std::string_view kTypes =
    R"(/* A bin of the spectrum; once its power is known, that divided by 2^31, and the remainder. */
typedef struct {
    int32_t re;
    int32_t im;
} %n%_bin;

)";

constexpr std::string_view kBegin =
    "/* Front end of %n%: 16-bit samples to input codes, in whole numbers. */\n"
    "#include \"%n%_front_end.h\"\n"
    R"(
#include <string.h>

/* Right shifts of negative numbers round downwards, as with every common compiler. */
typedef char %n%_shifts_are_arithmetic[((-3) >> 1) == -2 ? 1 : -1];

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    const int64_t above = (value < low) ? low : value;
    return (above > high) ? high : above;
}

)";

// The input quantizer is defined in binary32. Where no multiplication and shift equals it, its
// roundings are done one by one.
constexpr std::string_view kRounding = R"(
/* The nearest integer with 24 significant bits, ties to even. */
static int64_t rounded(int64_t value)
{
    int64_t n = value < 0 ? -value : value;
    int64_t unit = 1;
    int64_t rest;
    while (n / unit >= INT64_C(1) << 24) {
        unit *= 2;
    }
    rest = n % unit;
    n -= rest;
    if (rest > unit / 2 || (rest == unit / 2 && unit > 1 && (n / unit) % 2 != 0)) {
        n += unit;
    }
    return value < 0 ? -n : n;
}
)";

constexpr std::string_view kCodes = R"(
/* Normalises a feature and quantizes it. */
static int32_t code_of(int32_t value, uint32_t feature)
{
    int64_t z = ((int64_t)value * feature_factor[feature] + feature_bias[feature])
        >> feature_shift[feature];
    z = clamp(z, -@limit@, @limit@);
@quantize@    return (int32_t)clamp(z, @quant_min@, @quant_max@);
}
)";

constexpr std::string_view kDecimate = R"(
#define TAPS @taps@

/* The low-pass on the last TAPS samples. */
static int16_t decimated(const %n%_front_end *f)
{
    int64_t sum = 0;
    uint32_t at = f->raw_next;
    uint32_t i;
    for (i = 0; i < TAPS; i++) {
        sum += (int32_t)tap[i < TAPS - i ? i : TAPS - 1 - i] * f->raw[at];
        at = at + 1 == TAPS ? 0 : at + 1;
    }
    return (int16_t)clamp((sum + (INT64_C(1) << (@tap_shift@ - 1))) >> @tap_shift@, -32768, 32767);
}
)";

constexpr std::string_view kBands = R"(
#define BANDS @bands@
#define WINDOW @window@
#define KEPT @kept@
#define COUNT @count@ /* complex points: half of those of the spectrum */
#define TURN_BITS 30

/* exp(-pi i k / COUNT), k < COUNT. */
static %n%_bin turn(uint32_t k)
{
    %n%_bin w;
    if (k <= COUNT / 2) {
        w.re = quarter[k];
        w.im = -quarter[COUNT / 2 - k];
    } else {
        w.re = -quarter[COUNT - k];
        w.im = -quarter[k - COUNT / 2];
    }
    return w;
}

static %n%_bin times(%n%_bin b, %n%_bin w)
{
    const int64_t half = INT64_C(1) << (TURN_BITS - 1);
    %n%_bin t;
    t.re = (int32_t)(((int64_t)b.re * w.re - (int64_t)b.im * w.im + half) >> TURN_BITS);
    t.im = (int32_t)(((int64_t)b.re * w.im + (int64_t)b.im * w.re + half) >> TURN_BITS);
    return t;
}

static int64_t power_of(int32_t re, int32_t im)
{
    return ((int64_t)re * re + (int64_t)im * im + 8192) >> 14;
}

static void set_power(%n%_bin *bin, int64_t power)
{
    bin->re = (int32_t)(power >> 31);
    bin->im = (int32_t)(power & 0x7fffffff);
}

/* The tapered window in bit-reversed order, zero behind its end. */
static void load(%n%_front_end *f)
{
    uint32_t at = f->next + (KEPT - WINDOW);
    uint32_t reversed = 0;
    uint32_t n;
    uint32_t bit;
    uint32_t i;
    if (at >= KEPT) {
        at -= KEPT;
    }
    for (n = 0; n < COUNT; n++) {
        int32_t pair[2] = { 0, 0 };
        for (i = 0; i < 2; i++) {
            const uint32_t place = 2 * n + i;
            if (place < WINDOW) {
                const uint32_t mirror = WINDOW - 1 - place;
                const int32_t weight = taper[place < mirror ? place : mirror];
                pair[i] = (f->sample[at] * weight + 2) >> 2;
                at = at + 1 == KEPT ? 0 : at + 1;
            }
        }
        f->work[reversed].re = pair[0];
        f->work[reversed].im = pair[1];
        for (bit = COUNT / 2; (reversed & bit) != 0; bit /= 2) {
            reversed ^= bit;
        }
        reversed |= bit;
    }
}

/* Fourier transform divided by COUNT. */
static void transform(%n%_front_end *f)
{
    uint32_t half;
    uint32_t j;
    uint32_t at;
    for (half = 1; half < COUNT; half *= 2) {
        for (j = 0; j < half; j++) {
            const %n%_bin w = turn(j * (COUNT / half));
            for (at = j; at < COUNT; at += 2 * half) {
                %n%_bin *const p = &f->work[at];
                %n%_bin *const q = &f->work[at + half];
                const %n%_bin a = *p;
                const %n%_bin t = j == 0 ? *q : times(*q, w);
                p->re = (a.re + t.re) >> 1;
                p->im = (a.im + t.im) >> 1;
                q->re = (a.re - t.re) >> 1;
                q->im = (a.im - t.im) >> 1;
            }
        }
    }
}

/* Replaces the transform of pairs by the power of the real samples; returns that of the last bin. */
static int64_t to_power(%n%_front_end *f)
{
    const %n%_bin first = f->work[0];
    uint32_t k;
    for (k = 1; k <= COUNT / 2; k++) {
        const %n%_bin a = f->work[k];
        const %n%_bin b = f->work[COUNT - k];
        %n%_bin odd;
        %n%_bin t;
        const int32_t re = a.re + b.re;
        const int32_t im = a.im - b.im;
        odd.re = a.im + b.im;
        odd.im = b.re - a.re;
        t = times(odd, turn(k));
        set_power(&f->work[k], power_of(re + t.re, im + t.im));
        set_power(&f->work[COUNT - k], power_of(re - t.re, im - t.im));
    }
    set_power(&f->work[0], power_of(2 * (first.re + first.im), 0));
    return power_of(2 * (first.re - first.im), 0);
}

/* Binary logarithm in units of 2^-10. */
static int32_t log2_of(int64_t energy)
{
    int64_t left = energy;
    int32_t exponent = 16;
    int32_t low;
    int32_t high;
    int32_t mantissa;
    while (left >= INT64_C(1) << 33) {
        left >>= 16;
        exponent += 16;
    }
    /* Bring the leading bit to place 16, keeping those that follow it. */
    while (left >= INT64_C(1) << 17) {
        left >>= 1;
        exponent++;
    }
    while (left < INT64_C(1) << 16) {
        left *= 2;
        exponent--;
    }
    low = log2_table[(left >> 10) & 63];
    high = log2_table[((left >> 10) & 63) + 1];
    mantissa = low + (((high - low) * (int32_t)(left & 1023) + 512) >> 10);
    return exponent * 1024 + ((mantissa + 16) >> 5);
}

static void frame(%n%_front_end *f, int32_t codes[@features@])
{
    const uint16_t *weight = band_weight;
    int64_t last;
    uint32_t b;
    uint32_t i;
    load(f);
    transform(f);
    last = to_power(f);
    for (b = 0; b < BANDS; b++) {
        int64_t energy = INT64_C(@floor@);
        int32_t value;
        for (i = 0; i < band_size[b]; i++) {
            const uint32_t bin = (uint32_t)band_first[b] + i;
            const int64_t power = bin == COUNT
                ? last : f->work[bin].re * (INT64_C(1) << 31) + f->work[bin].im;
            energy += power * *weight;
            weight++;
        }
        value = log2_of(energy);
        codes[b] = code_of(value, b);
@slopes@    }
@age@}
)";

constexpr std::string_view kSlopes =
    R"(        /* Slope over the last five frames, in tenths; before the first frame all equal it. */
        for (i = 0; f->fresh != 0 && i < 4; i++) {
            f->past[i][b] = (uint16_t)value;
        }
        codes[BANDS + b] = code_of(2 * (value - (int32_t)f->past[f->oldest][b])
            + (int32_t)f->past[(f->oldest + 3U) & 3U][b]
            - (int32_t)f->past[(f->oldest + 1U) & 3U][b], BANDS + b);
        f->past[f->oldest][b] = (uint16_t)value;
)";

constexpr std::string_view kAge =
    "    f->oldest = (uint8_t)((f->oldest + 1U) & 3U);\n    f->fresh = 0;\n";

// Parts of the push function.
constexpr std::string_view kPushRaw = R"(    f->raw[f->raw_next] = sample;
    f->raw_next = (uint16_t)(f->raw_next + 1 == TAPS ? 0 : f->raw_next + 1);
    f->raw_wait--;
    if (f->raw_wait != 0) {
        return 0;
    }
    f->raw_wait = @factor@;
    newest = decimated(f);
)";

constexpr std::string_view kPushKept = R"(    f->sample[f->next] = newest;
    f->next = (uint16_t)(f->next + 1 == KEPT ? 0 : f->next + 1);
    f->wait--;
    if (f->wait != 0) {
        return 0;
    }
    f->wait = @hop@;
    frame(f, codes);
)";

constexpr std::string_view kPush = R"(
void %n%_front_end_reset(%n%_front_end *front_end)
{
    (void)memset(front_end, 0, sizeof *front_end);
@initial@}

int %n%_front_end_push(%n%_front_end *front_end, int16_t sample,
    int32_t codes[%N%_FRONT_END_FEATURES])
{
    %n%_front_end *const f = front_end;
@body@    return 1;
}
)";

// The statements that turn a feature z into a code that is not saturated yet.
struct Quantizer {
  std::string helper, statements;
};

Quantizer quantizer(const integer::CodeFormat& input, const std::string& where) {
  const auto map = integer::fit_code_map(
      -data::kLargestFeature, data::kLargestFeature, input, [&](std::int32_t z) {
        return integer::input_code(input, std::ldexp(static_cast<float>(z), -data::kFeaturePlaces));
      });
  if (map) {
    return {"", "    z = (z * " + std::to_string(map->factor) + " + INT64_C(" +
                    std::to_string(map->bias) + ")) >> " + std::to_string(map->shift) + ";\n"};
  }
  constexpr int kBits = 24;  // of the significand of binary32
  int exponent = 0;
  const float inverse = 1.0f / static_cast<float>(input.scale);
  const auto significand =
      static_cast<std::int32_t>(std::ldexp(std::frexp(inverse, &exponent), kBits));
  const int shift = data::kFeaturePlaces + kBits - exponent;
  constexpr int kLeast = 1, kMost = 61;
  if (shift < kLeast || shift > kMost) {
    fail(where, "the scale of its input, " + exact_text(input.scale) +
                    ", is out of the range of the front end in C");
  }
  const std::string half = "(INT64_C(1) << " + std::to_string(shift - 1) + ")";
  return {std::string(kRounding), "    z = rounded(rounded(z * " + std::to_string(significand) +
                                      ") + " + half + ") >> " + std::to_string(shift) + ";\n"};
}

template <class Value>
std::vector<Value> first_half(const std::vector<Value>& values) {
  return {values.begin(), values.begin() + static_cast<std::ptrdiff_t>((values.size() + 1) / 2)};
}

class Generator {
 public:
  Generator(const data::FrontEnd& front_end, const integer::CodeFormat& input,
            const std::string& where)
      : whole_(*front_end.integers()), quantizer_(quantizer(input, where)), where_(where) {
    fill_.set("features", number(whole_.features()))
        .set("rate", number(front_end.sample_rate()))
        .set("full_hop", number(front_end.hop()))
        .set("limit", number(data::kLargestFeature))
        .set("quantize", quantizer_.statements)
        .set("quant_min", number(input.quant_min))
        .set("quant_max", number(input.quant_max));
  }

  FrontEndSources make() {
    add_scales();
    if (whole_.decimator.factor > 1) add_decimator();
    if (whole_.bands) {
      add_bands();
    } else {
      body_ += "    codes[0] = code_of(newest, 0);\n";
    }
    if (members_.empty()) {
      add_member("uint8_t", "unused", 1);
      body_ = "    (void)f;\n" + body_;
    }
    fill_.set("types", whole_.bands ? std::string(kTypes) : "")
        .set("members", members_)
        .set("initial", initial_)
        .set("body", (whole_.decimator.factor > 1 ? "    int16_t newest;\n"
                                                  : "    const int16_t newest = sample;\n") +
                         body_);
    FrontEndSources result;
    result.header = fill_(kHeader);
    result.source = fill_(kBegin) + tables_ + quantizer_.helper + functions_ + fill_(kPush);
    result.table_bytes = table_bytes_;
    // The largest member comes first, and the whole is aligned to it.
    const std::size_t unit = whole_.bands ? 4 : whole_.decimator.factor > 1 ? 2 : 1;
    result.state_bytes = (state_bytes_ + unit - 1) / unit * unit;
    return result;
  }

 private:
  template <class T>
  static std::string number(T value) {
    return std::to_string(value);
  }

  template <class Values>
  void add_table(const std::string& type, const std::string& name, const Values& values) {
    table_bytes_ += values.size() * sizeof values[0];
    tables_ += c_array(type, name, std::vector<std::int64_t>(values.begin(), values.end()));
  }

  void add_member(const std::string& type, const std::string& declaration, std::size_t bytes) {
    members_ += "    " + type + ' ' + declaration + ";\n";
    state_bytes_ += bytes;
  }

  void add_scales() {
    std::vector<std::int32_t> factor;
    std::vector<std::int64_t> bias;
    std::vector<std::uint8_t> shift;
    for (const data::FeatureScale& scale : whole_.scales) {
      factor.push_back(scale.factor);
      bias.push_back(scale.bias);
      shift.push_back(static_cast<std::uint8_t>(scale.shift));
    }
    add_table("int32_t", "feature_factor", factor);
    add_table("int64_t", "feature_bias", bias);
    add_table("uint8_t", "feature_shift", shift);
    functions_ += fill_(kCodes);
  }

  void add_decimator() {
    const data::IntegerDecimator& decimator = whole_.decimator;
    fill_.set("taps", number(decimator.taps.size()))
        .set("tap_shift", number(decimator.shift))
        .set("factor", number(decimator.factor));
    add_table("int16_t", "tap", first_half(decimator.taps));
    functions_ += fill_(kDecimate);
    body_ += fill_(kPushRaw);
    initial_ += fill_("    front_end->raw_wait = @factor@;\n");
    add_member("int16_t", "raw[" + number(decimator.taps.size()) + ']', 2 * decimator.taps.size());
    add_member("uint16_t", "raw_next", 2);
    add_member("uint16_t", "raw_wait", 2);
  }

  void add_bands() {
    const IntegerBands& bands = *whole_.bands;
    const std::size_t kept = std::max(whole_.window, whole_.hop);
    constexpr std::size_t kMost = 32768;
    if (kept > kMost) {
      fail(where_, "windows of " + number(kept) + " samples, expected at most " + number(kMost) +
                       " in C: a shorter front_end.frame or hop, or more front_end.decimation");
    }
    std::vector<std::uint16_t> weights, first, size;
    for (const IntegerBands::Band& band : bands.bands) {
      first.push_back(static_cast<std::uint16_t>(band.first));
      size.push_back(static_cast<std::uint16_t>(band.weights.size()));
      weights.insert(weights.end(), band.weights.begin(), band.weights.end());
    }
    add_table("uint16_t", "taper", first_half(bands.taper));
    add_table("int32_t", "quarter", bands.cosine);
    add_table("uint16_t", "band_first", first);
    add_table("uint16_t", "band_size", size);
    add_table("uint16_t", "band_weight", weights);
    add_table("uint16_t", "log2_table", data::log2_table());
    fill_.set("bands", number(bands.bands.size()))
        .set("window", number(whole_.window))
        .set("kept", number(kept))
        .set("hop", number(whole_.hop))
        .set("count", number(bands.points / 2))
        .set("floor", number(bands.floor))
        .set("slopes", whole_.deltas ? std::string(kSlopes) : "")
        .set("age", whole_.deltas ? std::string(kAge) : "");
    functions_ += fill_(kBands);
    body_ += fill_(kPushKept);
    initial_ += fill_("    front_end->wait = @hop@;\n");
    if (whole_.deltas) initial_ += "    front_end->fresh = 1;\n";
    add_members_of_bands(bands, kept);
  }

  // The largest type first, so that the compiler leaves no gaps.
  void add_members_of_bands(const IntegerBands& bands, std::size_t kept) {
    const std::string decimator = members_;
    members_.clear();
    add_member("%n%_bin", "work[" + number(bands.points / 2) + ']', 8 * (bands.points / 2));
    members_ += decimator;
    add_member("int16_t", "sample[" + number(kept) + ']', 2 * kept);
    add_member("uint16_t", "next", 2);
    add_member("uint16_t", "wait", 2);
    if (!whole_.deltas) return;
    add_member("uint16_t", "past[4][" + number(bands.bands.size()) + ']', 8 * bands.bands.size());
    add_member("uint8_t", "oldest", 1);
    add_member("uint8_t", "fresh", 1);
  }

  const IntegerFrontEnd& whole_;
  const Quantizer quantizer_;
  const std::string where_;
  Template fill_;
  std::string tables_, functions_, members_, initial_, body_;
  std::size_t table_bytes_ = 0, state_bytes_ = 0;
};

}  // namespace

FrontEndSources front_end_sources(const data::FrontEnd& front_end, const integer::CodeFormat& input,
                                  const std::string& where) {
  if (front_end.integers() == nullptr) {
    fail(where,
         "its front end computes in floating point (front_end.arithmetic = \"float\"), "
         "expected \"integer\" to write it in C: see crosstate convert");
  }
  return Generator(front_end, input, where).make();
}

SoundCheck sound_check(const data::FrontEnd& front_end, const integer::CodeFormat& input) {
  constexpr std::size_t kFrames = 24, kLeast = 2000;
  SoundCheck check;
  check.samples = std::max(kLeast, kFrames * front_end.hop() + front_end.window());
  data::IntegerFrontEndStream stream(*front_end.integers());
  std::vector<std::int32_t> features;
  std::uint32_t x = 0x9e3779b9;
  for (std::size_t i = 0; i < check.samples; ++i) {
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    const std::int32_t loud = static_cast<std::int32_t>(x >> 16) - 32768;
    const auto sample = static_cast<std::int16_t>(loud / (1 << (15 - i * 16 / check.samples)));
    stream.push(std::span(&sample, 1), features);
  }
  ScoreDigest digest;
  for (const std::int32_t z : features) {
    digest.add(
        integer::input_code(input, std::ldexp(static_cast<float>(z), -data::kFeaturePlaces)));
  }
  check.digest = digest.value();
  return check;
}

}  // namespace crosstate::exporter
