#include "crosstate/exporter/front_end_c.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/data/testing.h"
#include "crosstate/exporter/c_text.h"
#include "crosstate/exporter/testing.h"
#include "crosstate/integer/reference.h"

namespace crosstate::exporter {
namespace {

using fixtures::Workshop;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;
constexpr const char* kMain =
    "#include <stdio.h>\n#include \"f_front_end.h\"\n"
    R"(
int main(void)
{
    static f_front_end front_end[2];
    int32_t codes[F_FRONT_END_FEATURES];
    int sample, i, pass;
    printf("%d\n", (int)sizeof front_end[0]);
    f_front_end_reset(&front_end[1]);
    for (i = 0; i < 1000; i++) {
        f_front_end_push(&front_end[1], 32767, codes);
    }
    for (pass = 0; pass < 2; pass++) {
        f_front_end_reset(&front_end[pass]);
        rewind(stdin);
        while (scanf("%d", &sample) == 1) {
            if (f_front_end_push(&front_end[pass], (int16_t)sample, codes) != 0) {
                for (i = 0; i < F_FRONT_END_FEATURES; i++) {
                    printf("%d\n", (int)codes[i]);
                }
            }
        }
    }
    return 0;
}
)";

std::vector<std::int32_t> run(const FrontEndSources& sources,
                              const std::vector<std::int16_t>& samples) {
  const Workshop workshop;
  workshop.write({"f_front_end.h", fill(sources.header, "f")});
  workshop.write({"f_front_end.c", fill(sources.source, "f")});
  workshop.write({"main.c", kMain});
  std::string text;
  for (const std::int16_t sample : samples) text += std::to_string(sample) + '\n';
  workshop.write({"in", text});
  workshop.run("${CC:-cc} " + fixtures::kStrict + ' ' + fixtures::kSanitized +
               " -o program main.c f_front_end.c");
  std::istringstream out(workshop.run("./program <in"));
  std::size_t state_bytes = 0;
  out >> state_bytes;
  EXPECT_EQ(state_bytes, sources.state_bytes);
  std::vector<std::int32_t> codes;
  for (std::int32_t code; out >> code;) codes.push_back(code);
  return codes;
}

// Speech-like: silence, noise that grows to full scale, a clipped tone, DC.
std::vector<std::int16_t> sound() {
  std::vector<float> all(700, 0.0f);
  for (const double level : {1e-4, 3e-3, 0.1, 1.0}) {
    const std::vector<float> part = data::reference::noise(900, 3, level);
    all.insert(all.end(), part.begin(), part.end());
  }
  for (const auto& part : {data::reference::tone(440, 900, 1.5), std::vector<float>(900, -1.0f),
                           data::reference::tone(3999, 500, 0.3)}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  std::vector<std::int16_t> samples;
  for (const float x : all) samples.push_back(data::pcm_of(x));
  return samples;
}

TEST(FrontEndC, GivesTheCodesOfTheLibraryBitForBit) {
  std::vector<data::FrontEndOptions> all(6);
  all[1].deltas = true;
  all[1].frame = 32;
  all[1].hop = 12;
  all[2].kind = data::FrontEndKind::kWaveform;
  all[3].kind = data::FrontEndKind::kWaveform;
  all[3].decimation = 3;
  all[4].decimation = 2;
  all[4].frame = 11.3;
  all[4].hop = 13.7;  // longer than the window
  all[4].bands = 7;
  all[5].frame = 2;
  all[5].hop = 1;
  all[5].bands = 2;
  all[5].normalise = false;
  const std::vector<std::int16_t> samples = sound();
  const data::Recordings training = data::reference::tone_set(9, 1);
  ThreadPool pool(1);
  for (std::size_t n = 0; n < all.size(); ++n) {
    all[n].arithmetic = data::FrontEndArithmetic::kInteger;
    data::FrontEnd front_end(all[n], 8000);
    front_end.fit(training, pool);
    // The quantizer of the second last has no map; that of the last has more than 24 bits to round.
    constexpr double kScales[] = {0.0291, 0.03125, 0.31, 0.0733, 0.277, 0.000213};
    const integer::CodeFormat input{n == 5       ? -32767
                                    : n % 2 == 0 ? -127
                                                 : -31,
                                    n == 5 ? 32767 : 127, kScales[n]};
    data::IntegerFrontEndStream stream(*front_end.integers());
    std::vector<std::int32_t> features, wanted;
    stream.push(samples, features);
    for (const std::int32_t z : features) {
      wanted.push_back(input_code(input, static_cast<float>(z) * 0x1p-15f));
    }
    ASSERT_FALSE(wanted.empty());
    // Twice, in two instances.
    const std::size_t count = wanted.size();
    for (std::size_t i = 0; i < count; ++i) wanted.push_back(wanted[i]);
    EXPECT_EQ(run(front_end_sources(front_end, input, "m"), samples), wanted) << n;
  }
}

TEST(FrontEndC, HasNeitherFloatsNorAllocation) {
  data::FrontEndOptions options;
  options.arithmetic = data::FrontEndArithmetic::kInteger;
  options.decimation = 2;
  const FrontEndSources texts =
      front_end_sources(data::FrontEnd(options, 16000), {-127, 127, 0.03}, "m");
  const FrontEndSources sources = {fill(texts.header, "kws"), fill(texts.source, "kws")};
  for (const char* word : {"float", "double", "alloc", "math.h", "static int16_t kws"}) {
    EXPECT_THAT(sources.header + sources.source, Not(HasSubstr(word)));
  }
  EXPECT_THAT(sources.header, HasSubstr("#define KWS_FRONT_END_RATE 16000"));
  EXPECT_THAT(sources.header, HasSubstr("#define KWS_FRONT_END_HOP 160"));
}

TEST(FrontEndC, RefusesFloats) {
  EXPECT_THAT(
      [] {
        front_end_sources(data::FrontEnd({}, 8000), {-127, 127, 0.03}, "m");
      },
      ThrowsMessage<Error>(HasSubstr("front_end.arithmetic = \"float\"")));
}

}  // namespace
}  // namespace crosstate::exporter
