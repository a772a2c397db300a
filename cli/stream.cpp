// crosstate stream MODEL: samples in on standard input, scores out, in constant memory.
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <memory>
#include <optional>
#include <span>

#include "cli/common.h"
#include "crosstate/base/csv.h"
#include "crosstate/base/error.h"
#include "crosstate/integer/engine.h"
#include "crosstate/pipeline/data.h"

namespace crosstate::cli {
namespace {

struct StreamOptions {
  std::string input = "text", output = "sequence";
};

/// Binds the fields of section "stream".
void fields(FieldList& list, StreamOptions& options) {
  list.section("stream");
  list.add("input", options.input,
           "text: one time step per line, an empty line ends a sequence; raw: binary32, "
           "little-endian. Models of recordings take one sample per step.")
      .one_of({"text", "raw"});
  list.add("output", options.output, "A line per sequence, or after every time step.")
      .one_of({"sequence", "step"});
}

// From values as they come to lines of scores.
class Streamer {
 public:
  enum class Lines { kNone, kPerSequence, kPerStep };

  Streamer(const Safetensors& content, const std::string& model, Lines lines)
      : network_(integers_of(content, model)),
        preparation_(Preparation::load(content, model)),
        stream_(network_),
        lines_(lines) {
    if (preparation_ && preparation_->permutation_seed != 0) {
      fail(model, "reads its time steps in a permuted order, which cannot be streamed");
    }
    if (preparation_ && preparation_->front_end) front_end_.emplace(*preparation_->front_end);
  }

  /// Values that make up one step on the input: samples, or one per input.
  std::size_t width() const { return front_end_ ? 1 : network_.inputs; }

  void push(std::span<const float> values) {
    if (!front_end_) {
      step(values);
      return;
    }
    frames_.clear();
    front_end_->push(values, frames_);
    for (std::size_t at = 0; at < frames_.size(); at += network_.inputs) {
      step(std::span(frames_).subspan(at, network_.inputs));
    }
  }

  void end_sequence() {
    if (steps_ > 0) {
      ++sequences_;
      if (lines_ == Lines::kPerSequence) print();
    }
    stream_.reset();
    if (front_end_) front_end_->reset();
    steps_ = 0;
  }

  /// Of the network; sequences of at least one step.
  long long all_steps() const { return all_steps_; }
  long long sequences() const { return sequences_; }

 private:
  void step(std::span<const float> values) {
    stream_.step(values);
    ++steps_;
    ++all_steps_;
    if (lines_ == Lines::kPerStep) print();
  }

  void print() const {
    const IntegerResult result = stream_.result();
    const std::size_t best = result.best();
    const bool named = preparation_ && best < preparation_->classes.size();
    const std::string name = named ? csv_field(preparation_->classes[best]) : std::to_string(best);
    std::printf("%lld,%s", steps_, name.c_str());
    for (const float logit : result.logits()) std::printf(",%.9g", static_cast<double>(logit));
    std::printf("\n");
    std::fflush(stdout);
  }

  IntegerNetwork network_;
  std::optional<Preparation> preparation_;
  std::optional<FrontEndStream> front_end_;
  IntegerStream stream_;
  std::vector<float> frames_;
  Lines lines_;
  long long steps_ = 0;  // of this sequence
  long long all_steps_ = 0, sequences_ = 0;
};

float checked(float value, const std::string& where) {
  if (!std::isfinite(value)) fail(where, "a value that is not finite");
  return value;
}

// One time step per line; an empty line ends a sequence.
void read_text(std::istream& in, Streamer& streamer) {
  std::string line;
  std::vector<float> values;
  for (long long number = 1; std::getline(in, line); ++number) {
    const std::string where = "standard input:" + std::to_string(number);
    values.clear();
    const char* at = line.data();
    const char* const end = at + line.size();
    for (;;) {
      while (at != end && (*at == ' ' || *at == ',' || *at == '\t' || *at == '\r')) ++at;
      if (at == end) break;
      float value = 0;
      const auto [rest, error] = std::from_chars(at, end, value);
      if (error != std::errc{}) {
        fail(where, "\"" + line.substr(static_cast<std::size_t>(at - line.data()), 20) +
                        "\", expected a number");
      }
      values.push_back(checked(value, where));
      at = rest;
    }
    if (values.empty()) {
      streamer.end_sequence();
      continue;
    }
    if (values.size() != streamer.width()) {
      fail(where,
           std::to_string(values.size()) + " values, expected " + std::to_string(streamer.width()));
    }
    streamer.push(values);
  }
}

// Binary32 little-endian, as many per time step as the network has inputs; one sequence.
void read_raw(std::istream& in, Streamer& streamer) {
  std::vector<float> values(streamer.width());
  const auto bytes = static_cast<std::streamsize>(values.size() * sizeof(float));
  for (long long step = 0;; ++step) {
    in.read(reinterpret_cast<char*>(values.data()), bytes);
    if (in.gcount() == 0) return;
    const std::string where = "standard input, step " + std::to_string(step);
    if (in.gcount() != bytes) {
      fail(where, "ends after " + std::to_string(in.gcount()) + " bytes, expected " +
                      std::to_string(bytes));
    }
    for (const float v : values) checked(v, where);
    streamer.push(values);
  }
}

// A run's configuration serves here too, so its settings are accepted.
StreamOptions stream_options(const Common& common) {
  StreamOptions options;
  RunOptions run;
  FieldList list = run.fields();
  fields(list, options);
  read_settings(common, list);
  return options;
}

Streamer::Lines lines_of(const Common& common, const StreamOptions& options) {
  if (common.quiet || common.json == "-") return Streamer::Lines::kNone;
  return options.output == "step" ? Streamer::Lines::kPerStep : Streamer::Lines::kPerSequence;
}

int stream_command(const Common& common, const std::string& model) {
  const StreamOptions options = stream_options(common);
  require_writable_file(common.json);
  Streamer streamer(read_safetensors(model), model, lines_of(common, options));
  const auto output = prepare_out(common, "stream");
  std::ios::sync_with_stdio(false);
  if (options.input == "raw") {
    read_raw(std::cin, streamer);
  } else {
    read_text(std::cin, streamer);
  }
  streamer.end_sequence();
  write_result(
      common, "stream",
      {{"model", model}, {"sequences", streamer.sequences()}, {"steps", streamer.all_steps()}});
  return kOk;
}

}  // namespace

void add_stream(CLI::App& app, Action& chosen) {
  CLI::App* command = app.add_subcommand(
      "stream",
      "Samples in on standard input, one line of steps, class and logits out; constant memory");
  auto common = std::make_shared<Common>();
  auto model = std::make_shared<std::string>();
  command->add_option("MODEL", *model, "A quantized model")->required();
  add_common(*command, *common,
             {.data = false,
              .resume = false,
              .out = out_for_result("stream"),
              .seed = kNothingDrawn,
              .threads = "Without effect: a sequence takes one thread"});
  StreamOptions defaults;
  FieldList list;
  fields(list, defaults);
  add_short_forms(*command, *common, list);
  command->footer(settings_help(list) +
                  "\nThose of a run (crosstate train --help) are accepted, too, so that its file "
                  "serves here;\nthey change nothing, since the model holds all that it needs.\n");
  command->callback([=, &chosen] { chosen = [=] { return stream_command(*common, *model); }; });
}

}  // namespace crosstate::cli
