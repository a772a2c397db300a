#include "crosstate/exporter/c_network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "crosstate/cost/memory.h"
#include "crosstate/exporter/c_project.h"
#include "crosstate/exporter/golden.h"
#include "crosstate/exporter/testing.h"
#include "crosstate/integer/reference.h"
#include "crosstate/integer/testing.h"

namespace crosstate::exporter {
namespace {

using fixtures::Workshop;
using integer::IntegerNetwork;
using testing::HasSubstr;
using testing::Not;

std::uint32_t number_of_networks() {
  const char* const text = std::getenv("CROSSTATE_C_NETWORKS");
  return text == nullptr ? 12 : static_cast<std::uint32_t>(std::stoul(text));
}

// Writes a network and its test, whose function is PREFIX_check().
void write_checked(const Workshop& workshop, const IntegerNetwork& network,
                   const std::string& prefix) {
  ExportOptions options;
  options.name = prefix;
  options.sequences = 4;
  options.steps = 20;
  const CProject project = c_project(inference::Model(network), options);
  for (const SourceFile& file : project.files) {
    if (file.path.starts_with("test/")) {
      workshop.write({prefix + "_check.c",
                      replaced(file.text, "int main(void)",
                               "int " + prefix + "_check(void);\nint " + prefix + "_check(void)")});
    } else if (file.path.ends_with(".c") || file.path.ends_with(".h")) {
      workshop.write(file);
    }
  }
}

// Runs the tests of all networks as one program.
void run_checked(const Workshop& workshop, const std::vector<std::string>& prefixes,
                 const std::string& flags = fixtures::kStrict + " " + fixtures::kSanitized) {
  std::string declared, called;
  for (const std::string& prefix : prefixes) {
    declared += "int " + prefix + "_check(void);\n";
    called += "    wrong += " + prefix + "_check();\n";
  }
  workshop.write({"all.c", declared + "int main(void)\n{\n    int wrong = 0;\n" + called +
                               "    return wrong;\n}\n"});
  const std::string output = workshop.compile_and_run(flags);
  for (const std::string& prefix : prefixes) {
    EXPECT_THAT(output, HasSubstr(prefix + ": 4 sequences of 20 steps agree"));
  }
}

TEST(CNetwork, AgreesWithTheReferenceOnRandomNetworks) {
  const Workshop workshop;
  std::vector<std::string> prefixes;
  for (std::uint32_t number = 0; number < number_of_networks(); ++number) {
    prefixes.push_back("random_" + std::to_string(number));
    write_checked(workshop, integer::fixtures::RandomNetwork(number).make(), prefixes.back());
  }
  run_checked(workshop, prefixes);
}

TEST(CNetwork, AgreesWithTheReferenceOnConvertedNetworks) {
  const Workshop workshop;
  std::vector<std::string> prefixes;
  for (int number = 0; number < static_cast<int>(number_of_networks()); ++number) {
    prefixes.push_back("converted_" + std::to_string(number));
    write_checked(workshop,
                  integer::fixtures::network(number, integer::fixtures::sequences(number)),
                  prefixes.back());
  }
  run_checked(workshop, prefixes);
}

// Formats that random networks have rarely or never.
TEST(CNetwork, AgreesWithTheReferenceInRareFormats) {
  const Workshop workshop;
  const auto made = [](std::uint32_t number) {
    return integer::fixtures::RandomNetwork(number).make();
  };
  std::vector<std::string> prefixes;
  const auto add = [&](const std::string& prefix, IntegerNetwork network) {
    integer::require_64_bits(network, prefix);
    prefixes.push_back(prefix);
    write_checked(workshop, network, prefix);
  };
  IntegerNetwork last = made(3);
  last.pool_last = last.every_step = true;
  add("every_step", last);

  IntegerNetwork early = made(5);
  for (integer::IntegerBlock& b : early.blocks) {
    b.sum.early.assign(early.channels, 3);
    b.output.early.assign(b.shape.size(), 1);
  }
  early.encoder_codes.early.assign(early.channels, 2);
  add("early_shifts", early);

  IntegerNetwork scores = made(6);
  scores.pool_last = false;
  scores.score_steps = 2;
  add("shifted_scores", scores);
  scores.score_steps = -3;
  add("coarse_scores", scores);

  IntegerNetwork wide = made(7);
  wide.encoder.bias[0] = std::int64_t{1} << 40;
  for (integer::IntegerBlock& b : wide.blocks) {
    b.input_shift.assign(b.input_shift.size(), 30);
    b.linear_map.bias[0] = -(std::int64_t{1} << 34);
  }
  add("sums_of_64_bits", wide);

  for (const int bits : {1, 2, 3, 5, 12, 16}) {
    IntegerNetwork n = made(static_cast<std::uint32_t>(20 + bits));
    const int most = bits <= 2 ? 1 : (1 << (bits - 1)) - 1;
    const auto limited = [&](std::vector<std::int16_t>& weights) {
      for (std::int16_t& w : weights) {
        w = static_cast<std::int16_t>(std::min<int>(most, std::max<int>(-most, 3 * w)));
        if (bits == 1 && w == 0) w = 1;
      }
    };
    for (integer::IntegerMatrix* m : {&n.encoder, &n.decoder}) {
      m->bits = bits;
      limited(m->weight);
    }
    for (integer::IntegerBlock& b : n.blocks) {
      b.c_bits = b.d_bits = b.linear_map.bits = bits;
      for (auto* weights : {&b.cr, &b.ci, &b.d, &b.linear_map.weight}) limited(*weights);
    }
    add("bits_" + std::to_string(bits), n);
  }
  run_checked(workshop, prefixes);
}

TEST(CNetwork, SaturatesAnyInput) {
  const Workshop workshop;
  const IntegerNetwork network = integer::fixtures::RandomNetwork(11).make();
  const CNetwork c = c_network(network, {.prefix = "net", .origin = "a test"});
  workshop.write({"net.h", c.header});
  workshop.write({"net.c", c.source});
  workshop.write({"main.c", fill("#include <inttypes.h>\n#include <stdio.h>\n#include \"net.h\"\n"
                                 "int main(void)\n{\n"
                                 "    static const int32_t values[] = {INT32_MAX, -INT32_MAX - 1, "
                                 "0, 70000, -70000};\n"
                                 "    net_state state;\n    int64_t scores[NET_OUTPUTS];\n"
                                 "    int t, i;\n    net_reset(&state);\n"
                                 "    for (t = 0; t < 50; ++t) {\n"
                                 "        int32_t in[NET_INPUTS];\n"
                                 "        for (i = 0; i < NET_INPUTS; ++i) {\n"
                                 "            in[i] = values[(t + i) % 5];\n        }\n"
                                 "        net_step(&state, in);\n    }\n"
                                 "    net_scores(&state, scores);\n"
                                 "    for (i = 0; i < NET_OUTPUTS; ++i) {\n"
                                 "        printf(\"%\" PRId64 \"\\n\", scores[i]);\n    }\n"
                                 "    return 0;\n}\n",
                                 "net")});
  integer::ReferenceExecutor executor(network);
  const std::int64_t values[] = {INT32_MAX, INT32_MIN, 0, 70000, -70000};
  for (std::size_t t = 0; t < 50; ++t) {
    std::vector<std::int32_t> in;
    for (std::size_t i = 0; i < network.inputs; ++i) {
      in.push_back(static_cast<std::int32_t>(std::clamp<std::int64_t>(
          values[(t + i) % 5], network.input.quant_min, network.input.quant_max)));
    }
    executor.step(in);
  }
  std::string expected;
  for (const std::int64_t score : executor.result().scores) {
    expected += std::to_string(score) + "\n";
  }
  EXPECT_EQ(workshop.compile_and_run(), expected);
}

// Sums stay below 2^31 however long a sequence is: later steps are not pooled.
TEST(CNetwork, SaysHowLongASequenceMayBe) {
  IntegerNetwork network = integer::fixtures::RandomNetwork(6).make();
  network.pool_last = false;
  const CNetwork pooled = c_network(network, {.prefix = "net", .origin = "a test"});
  const auto most = static_cast<std::uint64_t>(integer::magnitude(network.residual));
  EXPECT_GT(pooled.longest, 0u);
  EXPECT_LE(pooled.longest * most, 0x7fffffffu);
  EXPECT_THAT(pooled.header,
              HasSubstr("#define NET_LONGEST " + std::to_string(pooled.longest) + "u"));
  network.pool_last = true;
  const CNetwork last = c_network(network, {.prefix = "net", .origin = "a test"});
  EXPECT_EQ(last.longest, 0u);
  EXPECT_THAT(last.header, Not(HasSubstr("LONGEST")));
}

// Codes of real numbers and of sensors, and outputs as real numbers.
TEST(CNetwork, ConvertsRealValues) {
  const Workshop workshop;
  const IntegerNetwork network = integer::fixtures::RandomNetwork(11).make();
  const double unit = 1.0 / 255;
  CNetworkOptions options = {.prefix = "net", .origin = "a test"};
  options.unit = unit;
  const CNetwork c = c_network(network, options);
  workshop.write({"net.h", c.header});
  workshop.write({"net.c", c.source});
  workshop.write({"main.c",
                  "#include <stdio.h>\n#include \"net.h\"\nint main(void)\n{\n"
                  "    net_state state;\n    float out[NET_OUTPUTS];\n"
                  "    int32_t in[NET_INPUTS] = {0};\n    int v;\n"
                  "    for (v = -300; v <= 300; ++v) {\n"
                  "        printf(\"%d %d\\n\", (int)net_code(v),\n"
                  "               (int)net_code_of((float)v / 255.0f));\n    }\n"
                  "    net_reset(&state);\n    net_step(&state, in);\n"
                  "    net_outputs(&state, out);\n"
                  "    for (v = 0; v < NET_OUTPUTS; ++v) {\n"
                  "        printf(\"%a\\n\", (double)out[v]);\n    }\n    return 0;\n}\n"});
  integer::ReferenceExecutor executor(network);
  executor.step(std::vector<std::int32_t>(network.inputs, 0));
  std::string expected;
  for (int v = -300; v <= 300; ++v) {
    const float real = static_cast<float>(v) / 255.0f;
    const std::string code = std::to_string(integer::input_code(network.input, real));
    expected += code + " " + code + "\n";
  }
  for (const float output : executor.result().logits()) {
    char text[64];
    std::snprintf(text, sizeof text, "%a\n", static_cast<double>(output));
    expected += text;
  }
  EXPECT_EQ(workshop.compile_and_run(fixtures::kStrict + " -O2 -DNET_WITH_FLOAT"), expected);
}

TEST(CNetwork, CodesOf16BitSensorsAreThoseOfTheLibrary) {
  for (const double unit : {1.0 / 255, 1.0 / 32768, 0.00123, 3.3 / 4096}) {
    const Workshop workshop;
    IntegerNetwork network = integer::fixtures::RandomNetwork(11).make();
    // Up to half of the sensor's range saturates.
    network.input.scale = 20000 * unit / network.input.quant_max;
    CNetworkOptions options = {.prefix = "net", .origin = "a test"};
    options.unit = unit;
    const CNetwork c = c_network(network, options);
    workshop.write({"net.h", c.header});
    workshop.write({"net.c", c.source});
    workshop.write({"main.c",
                    "#include <stdio.h>\n#include \"net.h\"\nint main(void)\n{\n"
                    "    int v;\n    for (v = -65536; v <= 65535; v += 5) {\n"
                    "        printf(\"%d\\n\", (int)net_code(v));\n    }\n    return 0;\n}\n"});
    std::string expected;
    for (int v = -65536; v <= 65535; v += 5) {
      expected += std::to_string(integer::input_code(network.input, static_cast<float>(v * unit)));
      expected += '\n';
    }
    EXPECT_EQ(workshop.compile_and_run(fixtures::kStrict + " -O1"), expected) << unit;
  }
}

// Of sensors with more than 16 bits, values of 16 bits may have one code or a few.
TEST(CNetwork, CodesOfFineSensorsFollowTheirUnit) {
  for (const double codes : {3e-9, 3e-8, 1e-6, 2e-5}) {  // per unit of the sensor
    const Workshop workshop;
    IntegerNetwork network = integer::fixtures::RandomNetwork(11).make();
    const double unit = 1e-3;
    network.input.scale = unit / codes;
    CNetworkOptions options = {.prefix = "net", .origin = "a test"};
    options.unit = unit;
    const CNetwork c = c_network(network, options);
    workshop.write({"net.h", c.header});
    workshop.write({"net.c", c.source});
    workshop.write({"main.c",
                    "#include <stdio.h>\n#include \"net.h\"\nint main(void)\n{\n"
                    "    int32_t v;\n    for (v = -2147000000; v < 2140000000; v += 7000003) {\n"
                    "        printf(\"%d\\n\", (int)net_code(v));\n    }\n    return 0;\n}\n"});
    std::istringstream found(workshop.compile_and_run(fixtures::kStrict + " -O1"));
    for (std::int64_t v = -2147000000; v < 2140000000; v += 7000003) {
      const double code = std::clamp<double>(static_cast<double>(v) * codes,
                                             network.input.quant_min, network.input.quant_max);
      double is = -1e9;
      found >> is;
      EXPECT_NEAR(is, code, 0.51) << v << " times " << codes;
    }
  }
}

// Constants of few bits take the room that the memory figures promise, per row at most a byte more.
TEST(CNetwork, PacksWeights) {
  const data::Dataset set = integer::fixtures::sequences(1);
  for (const int bits : {2, 3, 4, 8}) {
    quant::QuantOptions format;
    format.preset = "w" + std::to_string(bits) + "a8s8";
    format.scales = format.weight_scales = quant::ScaleKind::kPowerOfTwo;
    const IntegerNetwork n = integer::fixtures::network(6, set, quant::resolved(format));
    const CNetwork c = c_network(n, {.prefix = "net", .origin = "a test"});
    const cost::MemorySummary memory = cost::count_memory(n);
    using cost::MemoryKind;
    const std::size_t promised = memory.bytes(MemoryKind::kWeights) +
                                 memory.bytes(MemoryKind::kBiases) +
                                 memory.bytes(MemoryKind::kScales);
    std::size_t tables = 0, pointers = 0;
    for (const integer::IntegerBlock& b : n.blocks) {
      tables += b.activation_table.size() + b.gate_table.size();
      pointers += 40 * 4;
    }
    EXPECT_LE(c.table_bytes, promised + tables + pointers) << bits;
  }
}

// The loops over several channels that GCC gets on processors with wide vectors.
TEST(CNetwork, AgreesWithSeveralChannelsAtOnce) {
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2")) GTEST_SKIP() << "no AVX2";
  const data::Dataset set = integer::fixtures::sequences(1);
  model::ModelOptions shape = integer::fixtures::shape(1);
  shape.channels = 8;
  shape.states = 16;
  for (const char* rounding : {"nearest", "residue 4"}) {
    const Workshop workshop;
    model::Network network = model::reference::random_network(shape, integer::fixtures::kTask);
    quant::QuantOptions format = integer::fixtures::format(0, true);
    integer::fixtures::round_state(format.state, rounding);
    ThreadPool pool(1);
    const data::Batch batch = model::reference::batch_of(set);
    network.quantize(format, {&batch, 1}, pool);
    write_checked(workshop, integer::to_integers(network), "wide");
    EXPECT_THAT(read_file(workshop.path() / "wide.c"), HasSubstr("#define AT_ONCE 4u"));
    run_checked(workshop, {"wide"}, fixtures::kStrict + " -O3 -mavx2");
  }
#endif
}

// For scripts/check-export: projects of random networks in the directory CROSSTATE_C_DIRECTORY.
TEST(CNetwork, DISABLED_WritesProjects) {
  const char* const directory = std::getenv("CROSSTATE_C_DIRECTORY");
  ASSERT_NE(directory, nullptr) << "CROSSTATE_C_DIRECTORY names no directory";
  for (std::uint32_t number = 0; number < number_of_networks(); ++number) {
    ExportOptions options;
    options.name = "random_" + std::to_string(number);
    options.steps = 24;
    const int half = static_cast<int>(number / 2);
    const IntegerNetwork network =
        number % 2 == 0 ? integer::fixtures::RandomNetwork(number).make()
                        : integer::fixtures::network(half, integer::fixtures::sequences(half));
    for (const SourceFile& file : c_project(inference::Model(network), options).files) {
      const auto path = std::filesystem::path(directory) / options.name / file.path;
      std::filesystem::create_directories(path.parent_path());
      write_file(path, file.text);
    }
  }
}

}  // namespace
}  // namespace crosstate::exporter
