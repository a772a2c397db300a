// crosstate stream MODEL: reads samples from standard input and writes scores, in constant memory.
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/common.h"
#include "crosstate/base/error.h"
#include "crosstate/base/input.h"
#include "crosstate/base/named.h"
#include "crosstate/base/numbers.h"
#include "crosstate/formats/csv.h"
#include "crosstate/inference/model.h"

namespace crosstate::cli {
namespace {

enum class SampleFormat { kText, kRaw };
constexpr auto enum_names(SampleFormat) {
  return std::array{Named{"text", SampleFormat::kText}, Named{"raw", SampleFormat::kRaw}};
}

enum class ResultRate { kAuto, kSequence, kStep };
constexpr auto enum_names(ResultRate) {
  return std::array{Named{"auto", ResultRate::kAuto}, Named{"sequence", ResultRate::kSequence},
                    Named{"step", ResultRate::kStep}};
}

struct StreamOptions {
  SampleFormat input = SampleFormat::kText;
  ResultRate output = ResultRate::kAuto;
};

/// Binds the fields of section "stream".
void fields(FieldList& list, StreamOptions& options) {
  list.section("stream");
  list.add("input", options.input,
           "text: one time step per line, an empty line ends a sequence; raw: binary32, "
           "little-endian. For models of recordings, a step is one sample.");
  list.add("output", options.output,
           "Print a line per sequence, or after every time step; auto: as in model.readout of the "
           "model.");
}

// Converts input values to lines of results.
class Streamer {
 public:
  enum class Lines { kNone, kPerSequence, kPerStep };

  Streamer(const inference::Model& model, Lines lines)
      : stream_(model.stream("standard input")), readout_(model.readout()), lines_(lines) {}

  /// Number of values of one input step: samples, or one per input.
  std::size_t width() const { return stream_.width(); }

  void push(std::span<const float> values) {
    stream_.push(values, [this] {
      ++all_steps_;
      if (lines_ == Lines::kPerStep) print();
    });
  }

  void end_sequence() {
    if (stream_.steps() > 0) {
      ++sequences_;
      if (lines_ == Lines::kPerSequence) print();
    }
    stream_.reset();
  }

  /// Steps of the network; sequences have at least one step.
  long long all_steps() const { return all_steps_; }
  long long sequences() const { return sequences_; }

 private:
  void print() const {
    const integer::IntegerResult result = stream_.result();
    const std::vector<float> outputs = result.logits();
    std::string line = std::to_string(stream_.steps());
    for (const std::string& field :
         readout_.task->answer(readout_, task::Output(outputs, result.best()))) {
      line += ',' + formats::csv_field(field);
    }
    std::printf("%s\n", line.c_str());
    flush_output();
  }

  inference::ModelStream stream_;
  task::Readout readout_;
  Lines lines_;
  long long all_steps_ = 0, sequences_ = 0;
};

// The number in a field of a line.
float value_of(std::string_view field, const std::string& where) {
  const ReadNumber<float> number = read_number<float>(field);
  const bool overload = number.value && is_overload(double{*number.value});
  if (number.value && !overload) return *number.value;
  fail(where, '"' + excerpt(field, 40) + "\" " +
                  (overload ? "marks an overload of an instrument" : std::string(number.wrong)) +
                  ", expected a number");
}

// One time step per line; an empty line ends a sequence.
void read_text(Input& in, Streamer& streamer) {
  constexpr std::size_t kLongestNumber = 1024;
  const std::size_t most = kLongestNumber * (streamer.width() + 1);
  std::string line;
  std::vector<std::string_view> fields;
  std::vector<float> values;
  while (in.line(line, most)) {
    const std::string where = in.name() + ':' + std::to_string(in.line_number());
    const bool first = in.line_number() == 1;
    split_numbers(first ? without_byte_order_mark(line, where) : line, fields);
    if (fields.empty()) {
      streamer.end_sequence();
      continue;
    }
    values.clear();
    for (const std::string_view field : fields) values.push_back(value_of(field, where));
    if (values.size() != streamer.width()) {
      fail(where,
           std::to_string(values.size()) + " values, expected " + std::to_string(streamer.width()));
    }
    streamer.push(values);
  }
}

// Binary32 little-endian, one value per input of the network in each time step; one sequence.
void read_raw(Input& in, Streamer& streamer) {
  std::vector<float> values(streamer.width());
  const std::size_t bytes = values.size() * sizeof(float);
  for (long long step = 0;; ++step) {
    const std::size_t got = in.bytes(reinterpret_cast<char*>(values.data()), bytes);
    if (got == 0) return;
    const std::string where = in.name() + ", step " + std::to_string(step);
    if (got != bytes) {
      fail(where,
           "ends after " + std::to_string(got) + " bytes, expected " + std::to_string(bytes));
    }
    for (const float v : values) {
      if (!std::isfinite(v)) fail(where, "a value that is not finite");
      if (is_overload(double{v})) fail(where, "a value that marks an overload of an instrument");
    }
    streamer.push(values);
  }
}

StreamOptions stream_options(const Common& common) {
  StreamOptions options;
  FieldList list;
  fields(list, options);
  read_settings(common, list);
  return options;
}

Streamer::Lines lines_of(const Common& common, const StreamOptions& options, task::Scope scope) {
  if (common.quiet || common.json == "-") return Streamer::Lines::kNone;
  const bool steps = options.output == ResultRate::kAuto ? scope == task::Scope::kStep
                                                         : options.output == ResultRate::kStep;
  return steps ? Streamer::Lines::kPerStep : Streamer::Lines::kPerSequence;
}

int stream_command(const Common& common, const std::string& model) {
  const StreamOptions options = stream_options(common);
  require_writable_file(common.json);
  const inference::Model loaded = inference::Model::load(model);
  Streamer streamer(loaded, lines_of(common, options, loaded.scope()));
  const auto output = prepare_out(common, "stream");
  Input in(STDIN_FILENO, "standard input");
  if (options.input == SampleFormat::kRaw) {
    read_raw(in, streamer);
  } else {
    read_text(in, streamer);
  }
  streamer.end_sequence();
  write_result(
      common, "stream",
      {{"model", model}, {"sequences", streamer.sequences()}, {"steps", streamer.all_steps()}});
  return kOk;
}

}  // namespace

void add_stream_settings(FieldList& list) {
  static StreamOptions options;
  fields(list, options);
}

void add_stream(Command root) {
  Command command = root.add_command(
      "stream",
      "Read samples from standard input and print one line per result, in constant memory");
  auto common = std::make_shared<Common>();
  auto model = std::make_shared<std::string>();
  command.add("MODEL", *model, "A quantized model").required();
  StreamOptions defaults;
  FieldList list;
  fields(list, defaults);
  add_common(command, *common,
             {.data = false,
              .no_resume = kNothingContinues,
              .out = out_for_result("stream"),
              .no_seed = kNothingDrawn,
              .no_threads = "a sequence is processed by one thread"},
             list);
  add_short_forms(command, *common, list);
  command.action([=] { return stream_command(*common, *model); });
}

}  // namespace crosstate::cli
