#include "crosstate/exporter/c_project.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>

#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"
#include "crosstate/base/version.h"
#include "crosstate/cost/memory.h"
#include "crosstate/cost/operations.h"
#include "crosstate/exporter/golden.h"

namespace crosstate::exporter {
namespace {

std::string size(std::size_t value) { return std::to_string(value); }

CNetworkOptions network_options(const inference::Model& model, const ExportOptions& options) {
  const task::Readout readout = model.readout();
  CNetworkOptions o;
  o.prefix = prefix_of(model, options);
  // A comment in C must not end early.
  o.origin = replaced(excerpt(std::filesystem::path(model.name()).filename().string()), "*/", "*");
  o.classifier = readout.task == &task::classification();
  o.output_names = readout.names;
  o.offset = readout.offset;
  o.scale = readout.scale;
  o.unit = unit_of(model, options);
  return o;
}

// The front end of a model of recordings in whole numbers, which becomes a part of the project;
// null for other models.
const data::FrontEnd* front_end_of(const inference::Model& model) {
  const auto& preparation = model.preparation();
  if (!preparation || !preparation->front_end) return nullptr;
  return preparation->front_end->integers() == nullptr ? nullptr : &*preparation->front_end;
}

// The function of the test that compares the codes of generated sound.
std::string front_end_check(const SoundCheck& check) {
  char digest[60];
  std::snprintf(digest, sizeof digest, "0x%08xu || (uint32_t)sum != 0x%08xu",
                static_cast<unsigned>(check.digest >> 32),
                static_cast<unsigned>(check.digest & 0xffffffff));
  return "#define SAMPLES " + size(check.samples) +
         "u\n\n/* Noise that grows from silence to full scale. Returns 0 if its codes agree. */\n"
         "static int check_front_end(void)\n{\n    static %n%_front_end front_end;\n"
         "    int32_t codes[%N%_FRONT_END_FEATURES];\n"
         "    uint64_t sum = UINT64_C(0xcbf29ce484222325);\n    uint32_t i, k;\n"
         "    word = 0x9e3779b9u;\n    %n%_front_end_reset(&front_end);\n"
         "    for (i = 0; i < SAMPLES; ++i) {\n"
         "        int32_t sample;\n"
         "        word ^= word << 13;\n        word ^= word >> 17;\n        word ^= word << 5;\n"
         "        sample = (int32_t)(word >> 16) - 32768;\n"
         "        sample /= (int32_t)(1u << (15u - i * 16u / SAMPLES));\n"
         "        if (%n%_front_end_push(&front_end, (int16_t)sample, codes) != 0) {\n"
         "            for (k = 0; k < %N%_FRONT_END_FEATURES; ++k) {\n"
         "                sum = digest(sum, codes[k]);\n            }\n        }\n    }\n"
         "    if ((uint32_t)(sum >> 32) != " +
         std::string(digest) +
         ") {\n        printf(\"%n%: the front end differs\\n\");\n        return 1;\n    }\n"
         "    printf(\"%n%: the front end agrees on %lu samples\\n\", (unsigned long)SAMPLES);\n"
         "    return 0;\n}\n\n";
}

// `sound`: the codes of the front end, if it is a part of the project.
std::string check_source(const GoldenVectors& golden, const std::optional<SoundCheck>& sound) {
  std::string digests;
  for (const std::uint64_t digest : golden.digests) {
    char text[40];
    std::snprintf(text, sizeof text, "    {0x%08xu, 0x%08xu},\n",
                  static_cast<unsigned>(digest >> 32), static_cast<unsigned>(digest & 0xffffffff));
    digests += text;
  }
  return "/* Runs random sequences and compares the scores of every step with those of Crosstate.\n"
         " * Returns 0 if all agree. */\n"
         "#include <stdio.h>\n\n#include \"%n%.h\"\n" +
         std::string(sound ? "#include \"%n%_front_end.h\"\n" : "") +
         "\n"
         "#define SEQUENCES " +
         size(golden.sequences) + "u\n#define STEPS " + size(golden.steps) +
         "u\n\n/* Digests of the scores of all steps of each sequence (FNV-1a, 64 bits, the upper "
         "half first). */\n"
         "static const uint32_t expected[SEQUENCES][2] = {\n" +
         digests +
         "};\n\nstatic uint32_t word;\n\n"
         "static int32_t random_code(void)\n{\n"
         "    word ^= word << 13;\n    word ^= word >> 17;\n    word ^= word << 5;\n"
         "    return %N%_INPUT_MIN +\n"
         "           (int32_t)(word % ((uint32_t)%N%_INPUT_MAX - (uint32_t)%N%_INPUT_MIN + 1u));\n"
         "}\n\n"
         "static uint64_t digest(uint64_t sum, int64_t score)\n{\n    uint32_t i;\n"
         "    for (i = 0; i < 64u; i += 8u) {\n"
         "        sum = (sum ^ (((uint64_t)score >> i) & 255u)) * UINT64_C(0x100000001b3);\n"
         "    }\n    return sum;\n}\n\n" +
         (sound ? front_end_check(*sound) : "") +
         "int main(void)\n{\n    static %n%_state state;\n    uint32_t s, t, i;\n"
         "    int wrong = " +
         (sound ? "check_front_end()" : "0") +
         ";\n"
         "    for (s = 0; s < SEQUENCES; ++s) {\n"
         "        uint64_t sum = UINT64_C(0xcbf29ce484222325);\n"
         "        int32_t in[%N%_INPUTS];\n        int64_t scores[%N%_OUTPUTS];\n"
         "        word = 0x9e3779b9u * (s + 1u);\n        %n%_reset(&state);\n"
         "        for (t = 0; t < STEPS; ++t) {\n"
         "            /* Every second sequence holds its inputs for eight steps. */\n"
         "            if (s % 2u == 0u || t % 8u == 0u) {\n"
         "                for (i = 0; i < %N%_INPUTS; ++i) {\n"
         "                    in[i] = random_code();\n                }\n            }\n"
         "            %n%_step(&state, in);\n            %n%_scores(&state, scores);\n"
         "            for (i = 0; i < %N%_OUTPUTS; ++i) {\n"
         "                sum = digest(sum, scores[i]);\n            }\n        }\n"
         "        if ((uint32_t)(sum >> 32) != expected[s][0] || (uint32_t)sum != expected[s][1]) "
         "{\n"
         "            printf(\"%n%: sequence %lu differs\\n\", (unsigned long)s);\n"
         "            wrong = 1;\n        }\n    }\n"
         "    if (wrong == 0) {\n"
         "        printf(\"%n%: %lu sequences of %lu steps agree\\n\", (unsigned long)SEQUENCES,\n"
         "               (unsigned long)STEPS);\n    }\n    return wrong;\n}\n";
}

// Sources of the library, which the build files compile.
std::string sources(const std::vector<SourceFile>& files, const char* separator) {
  std::string names;
  for (const SourceFile& file : files) {
    if (!file.path.ends_with(".c")) continue;
    names += (names.empty() ? "" : separator) + file.path;
  }
  return names;
}

std::string makefile(const std::vector<SourceFile>& files) {
  return "# make check: compares with golden vectors; make size: flash, RAM and stack, for "
         "example\n"
         "# make size CC=arm-none-eabi-gcc SIZE=arm-none-eabi-size TARGET=\"-mcpu=cortex-m4 "
         "-mthumb\"\n"
         "CFLAGS ?= -O2\nTARGET ?=\nSIZE ?= size\n"
         "STRICT = -std=c99 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wcast-align\n"
         "SOURCES = " +
         sources(files, " ") +
         "\n\n.PHONY: check size clean\n\n"
         "check: %n%_check\n\t./%n%_check\n\n"
         "%n%_check: test/%n%_check.c $(SOURCES) $(SOURCES:.c=.h)\n"
         "\t$(CC) $(STRICT) $(CFLAGS) $(TARGET) -I. -o $@ test/%n%_check.c $(SOURCES)\n\n"
         "size: $(SOURCES)\n"
         "\t$(CC) $(STRICT) $(TARGET) -Os -fstack-usage -c $(SOURCES)\n"
         "\t$(SIZE) $(SOURCES:.c=.o)\n\tcat $(SOURCES:.c=.su)\n\n"
         "clean:\n\trm -f %n%_check $(SOURCES:.c=.o) $(SOURCES:.c=.su)\n";
}

std::string cmake_lists(const std::vector<SourceFile>& files) {
  return "cmake_minimum_required(VERSION 3.13)\nproject(%n% LANGUAGES C)\n\n"
         "add_library(%n% STATIC " +
         sources(files, " ") +
         ")\ntarget_include_directories(%n% PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})\n"
         "set_target_properties(%n% PROPERTIES C_STANDARD 99 C_EXTENSIONS OFF)\n\n"
         "# The test runs on the machine that builds it.\n"
         "if(CMAKE_SOURCE_DIR STREQUAL CMAKE_CURRENT_SOURCE_DIR AND NOT CMAKE_CROSSCOMPILING)\n"
         "  enable_testing()\n  add_executable(%n%_check test/%n%_check.c)\n"
         "  target_link_libraries(%n%_check PRIVATE %n%)\n"
         "  add_test(NAME %n% COMMAND %n%_check)\nendif()\n";
}

std::string library_properties() {
  return "name=%n%\nversion=" + std::string(kVersion) +
         "\nauthor=Crosstate\nmaintainer=Crosstate\n"
         "sentence=A quantized state-space network in integer arithmetic.\n"
         "paragraph=Generated from a trained model; runs step by step on any board.\n"
         "category=Data Processing\nurl=https://github.com\narchitectures=*\n"
         "includes=%n%.h\n";
}

// Arduino has no common interface for microphones, so that the sketch reads an analog input.
std::string sound_sketch(const CNetworkOptions& o, bool every_step) {
  const std::string answer = o.classifier ? "Serial.println(%n%_class(&state));" : "report();";
  std::string text =
      "// Reads the sound of an analog microphone and prints the answer of the network.\n"
      "#include <%n%.h>\n#include <%n%_front_end.h>\n\n"
      "static const unsigned long kPeriod = 1000000UL / %N%_FRONT_END_RATE;  // microseconds\n"
      "static const unsigned kLength = 100;  // frames of a sequence\n"
      "static unsigned frame_number;\n"
      "static %n%_state state;\nstatic %n%_front_end front_end;\n"
      "static unsigned long next_time;\n\n";
  if (!o.classifier) {
    text +=
        "static void report() {\n  int64_t scores[%N%_OUTPUTS];\n  %n%_scores(&state, scores);\n"
        "  Serial.println((long)(scores[0] >> 16));\n}\n\n";
  }
  text +=
      "void setup() {\n  Serial.begin(115200);\n  %n%_reset(&state);\n"
      "  %n%_front_end_reset(&front_end);\n  next_time = micros();\n}\n\n"
      "void loop() {\n  if ((long)(micros() - next_time) < 0) return;\n"
      "  next_time += kPeriod;\n  int32_t in[%N%_INPUTS];\n"
      "  // 10 bits, with silence in the middle, to 16 bits.\n"
      "  const int16_t sample = (int16_t)((analogRead(A0) - 512) * 64);\n"
      "  if (!%n%_front_end_push(&front_end, sample, in)) return;\n"
      "  %n%_step(&state, in);\n";
  if (every_step) return text + "  " + answer + "\n}\n";
  return text + "  if (++frame_number == kLength) {\n    " + answer +
         "\n    %n%_reset(&state);\n    frame_number = 0;\n  }\n}\n";
}

std::string sketch(const CNetworkOptions& o, bool every_step) {
  const std::string code = o.unit ? "%n%_code(analogRead(A0 + i))" : "0 /* code of input i */";
  std::string answer = o.classifier
                           ? "    Serial.println(%n%_class(&state));\n"
                           : "    int64_t scores[%N%_OUTPUTS];\n    %n%_scores(&state, scores);\n"
                             "    Serial.println((long)(scores[0] >> 16));\n";
  return "// Reads one sample of every input per period and prints the answer of the network.\n"
         "#include <%n%.h>\n\n"
         "static const unsigned long kPeriod = 10;  // milliseconds between two time steps\n" +
         std::string(every_step
                         ? ""
                         : "static const unsigned kLength = 100;      // time steps of a sequence\n"
                           "static unsigned step_number;\n") +
         "static %n%_state state;\nstatic unsigned long next_time;\n\n"
         "void setup() {\n  Serial.begin(115200);\n  %n%_reset(&state);\n"
         "  next_time = millis();\n}\n\n"
         "void loop() {\n  if ((long)(millis() - next_time) < 0) return;\n"
         "  next_time += kPeriod;\n  int32_t in[%N%_INPUTS];\n"
         "  for (int i = 0; i < %N%_INPUTS; ++i) in[i] = " +
         code + ";\n  %n%_step(&state, in);\n" +
         (every_step ? "  {\n" + answer + "  }\n"
                     : "  if (++step_number == kLength) {\n" + answer +
                           "    %n%_reset(&state);\n    step_number = 0;\n  }\n") +
         "}\n";
}

std::string read_me(const integer::IntegerNetwork& n, const CNetworkOptions& o, const CNetwork& c,
                    const std::optional<FrontEndSources>& front_end) {
  const cost::OperationSummary operations = cost::count_operations(cost::deployment(n), 1);
  const cost::MemorySummary memory = cost::count_memory(n);
  const std::string end = n.every_step ? "after every step" : "at the end of a sequence";
  std::string text =
      "# %n%\n\nA quantized state-space network, generated by Crosstate " + std::string(kVersion) +
      " from `" + o.origin +
      "`: C99 that needs only `stdint.h` and `string.h`, without allocation, floating "
      "point or recursion.\n\n"
      "    #include \"%n%.h\"\n\n    %n%_state state;\n    %n%_reset(&state);\n"
      "    int32_t in[%N%_INPUTS]; /* codes of one time step */\n";
  if (front_end) {
    text +=
        "    %n%_front_end front_end;\n    %n%_front_end_reset(&front_end);\n"
        "    /* for every 16-bit sample, %N%_FRONT_END_RATE per second */\n"
        "    if (%n%_front_end_push(&front_end, sample, in)) %n%_step(&state, in);\n";
  } else {
    text += o.unit ? "    in[0] = %n%_code(sample);  /* for every input */\n" : "";
    text += "    %n%_step(&state, in);\n";
  }
  text += o.classifier ? "    int answer = %n%_class(&state); /* " + end + " */\n"
                       : "    int64_t scores[%N%_OUTPUTS];\n    %n%_scores(&state, scores); /* " +
                             end + " */\n";
  text += "\n" + size(n.inputs) + " inputs with codes " + std::to_string(n.input.quant_min) +
          " to " + std::to_string(n.input.quant_max) + ", " + size(n.outputs) +
          " outputs; one code is " + fixed_text(n.input.scale, 6) + " in the unit of the input. ";
  if (o.unit) {
    text += "`%n%_code()` converts integers of the sensor, one of which is " +
            rounded_text(*o.unit, 9) + " in that unit (`export.unit`).";
  } else if (front_end) {
    text +=
        "`%n%_front_end_push()` computes them from 16-bit samples, in whole numbers; it returns 1 "
        "every `%N%_FRONT_END_HOP` samples.";
  } else {
    text += "The codes come from a front end in floating point, which is not a part of this code.";
  }
  const std::string sound =
      front_end ? "| Flash, constants of the front end | " + size(front_end->table_bytes) +
                      " bytes |\n| RAM of one front end, `sizeof(%n%_front_end)` | " +
                      size(front_end->state_bytes) + " bytes |\n"
                : "";
  text +=
      "\nWith `%N%_WITH_FLOAT` defined there are also `%n%_code_of(float)` and "
      "`%n%_outputs()`, the outputs as real numbers.\n\n"
      "| Resource | |\n|---|---|\n"
      "| Flash, constants | " +
      size(c.table_bytes) +
      " bytes |\n| Flash, code | 1 to 4 KB on a Cortex-M4; `make size` "
      "measures it |\n"
      "| RAM of one instance, `sizeof(%n%_state)` | " +
      size(c.state_bytes) + " bytes |\n| Stack, arrays | " + size(c.scratch_bytes) +
      " bytes; `make size` measures the whole |\n| Multiplications per step | " +
      std::to_string(operations.macs_per_step()) +
      " |\n| The model as Crosstate counts it, state included | " + size(memory.total()) +
      " bytes |\n\n"
      "`make check` runs random sequences and compares the scores after every step with those "
      "of Crosstate's reference\nexecutor. `CMakeLists.txt` defines the library `%n%`. The "
      "directory is also an Arduino library (Sketch, Include\nLibrary; or copied to the "
      "folder `libraries`), with an example.\n";
  return text;
}

}  // namespace

std::string prefix_of(const inference::Model& model, const ExportOptions& options) {
  if (!options.name.empty()) return options.name;
  std::filesystem::path name = std::filesystem::path(model.name()).filename();
  for (const char* extension : {".safetensors", ".integer"}) {
    if (name.extension() == extension) name = name.stem();
  }
  return c_prefix(name.string());
}

std::optional<double> unit_of(const inference::Model& model, const ExportOptions& options) {
  const auto& preparation = model.preparation();
  if (preparation && preparation->front_end) {
    if (options.unit != 0) {
      fail("export.unit", "has no effect: the input of " + model.name() +
                              " comes from a front end, not from the samples of a sensor");
    }
    return std::nullopt;
  }
  return options.unit != 0 ? options.unit : 1.0;
}

integer::IntegerNetwork exported_network(const inference::Model& model) {
  const auto& preparation = model.preparation();
  if (preparation && preparation->permutation_seed != 0) {
    fail(model.name(),
         "reads its time steps in a permuted order, which cannot be computed step by step");
  }
  integer::IntegerNetwork network = model.integers();
  if (preparation) {
    preparation->require_network(network.inputs, network.outputs, network.scope(), model.name());
  }
  return network;
}

CProject c_project(const inference::Model& model, const ExportOptions& options) {
  validate(options);
  const integer::IntegerNetwork network = exported_network(model);
  const CNetworkOptions o = network_options(model, options);
  CProject project;
  project.prefix = o.prefix;
  project.network = c_network(network, o);
  std::vector<SourceFile> files = {{"%n%.h", project.network.header},
                                   {"%n%.c", project.network.source}};
  const data::FrontEnd* sound = front_end_of(model);
  std::optional<SoundCheck> sound_vectors;
  if (sound != nullptr) {
    project.front_end = front_end_sources(*sound, network.input, model.name());
    files.push_back({"%n%_front_end.h", project.front_end->header});
    files.push_back({"%n%_front_end.c", project.front_end->source});
    sound_vectors = sound_check(*sound, network.input);
  }
  // Steps that the C code no longer pools would differ.
  const std::uint64_t pooled = project.network.longest;
  const int steps = pooled > 0 && pooled < static_cast<std::uint64_t>(options.steps)
                        ? static_cast<int>(pooled)
                        : options.steps;
  const GoldenVectors golden = golden_vectors(network, options.sequences, steps);
  const std::string make = makefile(files), cmake = cmake_lists(files);
  files.push_back({"test/%n%_check.c", check_source(golden, sound_vectors)});
  files.push_back({"Makefile", make});
  files.push_back({"CMakeLists.txt", cmake});
  files.push_back({"library.properties", library_properties()});
  files.push_back({"examples/%n%/%n%.ino", sound != nullptr ? sound_sketch(o, network.every_step)
                                                            : sketch(o, network.every_step)});
  files.push_back({"README.md", read_me(network, o, project.network, project.front_end)});
  for (SourceFile& file : files) {
    project.files.push_back({fill(file.path, o.prefix), fill(file.text, o.prefix)});
  }
  if (!o.unit && sound == nullptr) {
    project.note = model.name() +
                   ": its front end computes in floating point and is not exported; the exported "
                   "network reads codes of its features (crosstate convert with "
                   "front_end.arithmetic = \"integer\" exchanges it for one that is)";
  }
  return project;
}

}  // namespace crosstate::exporter
