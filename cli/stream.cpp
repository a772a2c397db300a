// crosstate stream MODEL: reads samples from standard input, or recordings, and writes scores, in
// constant memory.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
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
#include "crosstate/data/audio.h"
#include "crosstate/data/front_end.h"
#include "crosstate/data/wav_input.h"
#include "crosstate/formats/csv.h"
#include "crosstate/inference/model.h"

namespace crosstate::cli {
namespace {

enum class SampleFormat { kAuto, kText, kRaw, kPcm, kWav };
constexpr auto enum_names(SampleFormat) {
  return std::array{Named{"auto", SampleFormat::kAuto}, Named{"text", SampleFormat::kText},
                    Named{"raw", SampleFormat::kRaw}, Named{"pcm", SampleFormat::kPcm},
                    Named{"wav", SampleFormat::kWav}};
}

enum class ResultRate { kAuto, kSequence, kStep };
constexpr auto enum_names(ResultRate) {
  return std::array{Named{"auto", ResultRate::kAuto}, Named{"sequence", ResultRate::kSequence},
                    Named{"step", ResultRate::kStep}};
}

struct StreamOptions {
  SampleFormat input = SampleFormat::kAuto;
  ResultRate output = ResultRate::kAuto;
};

/// Binds the fields of section "stream".
void fields(FieldList& list, StreamOptions& options) {
  list.section("stream");
  list.add(
      "input", options.input,
      "text: one time step per line, an empty line ends a sequence; raw: binary32, "
      "little-endian. For models of recordings, a step is one sample; pcm: samples of 16 bits, "
      "little-endian; wav: a WAV file; auto: wav, pcm or text by the first bytes, for other "
      "models text.");
  list.add("output", options.output,
           "Print a line per sequence, or after every time step; auto: as in model.readout of the "
           "model.");
}

// How long the processing of the sound of a model of recordings takes.
class Timing {
 public:
  using Clock = std::chrono::steady_clock;

  void start() { started_ = Clock::now(); }
  // A result is complete.
  void step() {
    const double seconds = since_start();
    ++steps_;
    sum_ += seconds;
    longest_ = std::max(longest_, seconds);
  }
  // A sample is processed.
  void stop() {
    busy_ += since_start();
    ++samples_;
  }

  nlohmann::json to_json(const data::FrontEnd& front_end) const {
    const double rate = front_end.sample_rate();
    const double sound = static_cast<double>(samples_) / rate;
    nlohmann::json values = {{"sample_rate", front_end.sample_rate()},
                             {"samples", samples_},
                             {"seconds", sound},
                             {"processing_seconds", busy_},
                             {"real_time_factor", nullptr},
                             {"hop_seconds", static_cast<double>(front_end.hop()) / rate},
                             {"latency_seconds", {{"mean", nullptr}, {"longest", nullptr}}}};
    if (samples_ > 0) values["real_time_factor"] = busy_ / sound;
    if (steps_ > 0) {
      values["latency_seconds"] = {{"mean", sum_ / static_cast<double>(steps_)},
                                   {"longest", longest_}};
    }
    return values;
  }

  std::string text(const data::FrontEnd& front_end) const {
    const double rate = front_end.sample_rate();
    const double sound = static_cast<double>(samples_) / rate;
    std::string line = number(sound) + " s of sound at " + std::to_string(front_end.sample_rate()) +
                       " Hz in " + number(busy_) + " s";
    if (samples_ > 0) line += ": real-time factor " + number(busy_ / sound);
    if (steps_ > 0) {
      line += "; a step every " + number(1e3 * static_cast<double>(front_end.hop()) / rate) +
              " ms, " + number(1e6 * sum_ / static_cast<double>(steps_)) +
              " us after its last sample (longest " + number(1e6 * longest_) + " us)";
    }
    return line;
  }

 private:
  double since_start() const {
    return std::chrono::duration<double>(Clock::now() - started_).count();
  }

  Clock::time_point started_;
  std::size_t samples_ = 0, steps_ = 0;
  double busy_ = 0, sum_ = 0, longest_ = 0;  // seconds
};

// Converts input values to lines of results.
class Streamer {
 public:
  enum class Lines { kNone, kPerSequence, kPerStep };

  /// `timed`: measures the time of every push().
  Streamer(const inference::Model& model, const std::string& source, Lines lines, bool timed)
      : stream_(model.stream(source)), readout_(model.readout()), lines_(lines), timed_(timed) {}

  /// Number of values of one input step: samples, or one per input.
  std::size_t width() const { return stream_.width(); }

  void push(std::span<const float> values) {
    if (timed_) timing_.start();
    bool complete = false;
    stream_.push(values, [&] {
      if (timed_) timing_.step();
      ++all_steps_;
      complete = true;
    });
    if (timed_) timing_.stop();
    // A time step of the input completes at most one of the network.
    if (complete && lines_ == Lines::kPerStep) print();
  }

  void end_sequence() {
    if (stream_.steps() > 0) {
      ++sequences_;
      if (lines_ == Lines::kPerSequence) print();
    }
    stream_.reset();
  }

  /// Steps of the network in this sequence.
  long long steps() const { return stream_.steps(); }
  /// Steps of the network in all sequences, which have at least one step each.
  long long all_steps() const { return all_steps_; }
  long long sequences() const { return sequences_; }
  const Timing& timing() const { return timing_; }

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
  bool timed_;
  long long all_steps_ = 0, sequences_ = 0;
  Timing timing_;
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

// Samples of 16 bits, little-endian; one sequence.
void read_pcm(Input& in, Streamer& streamer) {
  std::array<char, 2> bytes;
  for (long long sample = 0;; ++sample) {
    const std::size_t got = in.bytes(bytes.data(), bytes.size());
    if (got == 0) return;
    if (got != bytes.size()) {
      fail(in.name() + ", sample " + std::to_string(sample), "ends after 1 byte, expected 2");
    }
    const auto word = static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[0]) |
                                                 static_cast<unsigned char>(bytes[1]) << 8);
    const float value = static_cast<float>(static_cast<std::int16_t>(word)) / 32768;
    streamer.push(std::span(&value, 1));
  }
}

void require_rate(int found, const data::FrontEnd& front_end, const std::string& where) {
  if (found == front_end.sample_rate()) return;
  fail(where, std::to_string(found) + " Hz, expected the " +
                  std::to_string(front_end.sample_rate()) + " Hz of the model");
}

void read_wav(Input& in, const data::FrontEnd& front_end, Streamer& streamer) {
  data::WavInput wav(in);
  require_rate(wav.sample_rate(), front_end, in.name());
  for (float sample; wav.next(sample);) streamer.push(std::span(&sample, 1));
}

void read_recording(const std::string& file, const data::FrontEnd& front_end, Streamer& streamer) {
  constexpr double kLongest = 3600;  // s, as the greatest data.longest
  const data::Sound sound = data::read_sound(file, kLongest);
  require_rate(sound.sample_rate, front_end, file);
  for (const float& sample : sound.samples) streamer.push(std::span(&sample, 1));
  if (streamer.steps() == 0) {
    fail(file, std::to_string(sound.samples.size()) + " samples, expected at least the " +
                   std::to_string(front_end.hop()) + " of one frame");
  }
}

// Whether the stream begins with these bytes. Reads no more of it than the answer needs, since a
// terminal or a recorder may take its time.
bool begins(Input& in, std::string_view bytes) {
  std::size_t count = 1;
  while (count < bytes.size() && in.peek(count) == bytes.substr(0, count)) ++count;
  return in.peek(count) == bytes;
}

// Sound in another format would be taken for samples, with noise as the answer.
void refuse_other_formats(Input& in) {
  struct Format {
    const char *bytes, *name;
    bool in_files;  // read_sound() reads it
  };
  constexpr Format kFormats[] = {{"fLaC", "FLAC", true},
                                 {"RF64", "WAV above 4 GiB", true},
                                 {"BW64", "WAV above 4 GiB", true},
                                 {"RIFX", "big-endian WAV", false},
                                 {"FORM", "AIFF", false},
                                 {"OggS", "Ogg", false},
                                 {"ID3", "MP3", false},
                                 {".snd", "AU", false}};
  for (const Format& format : kFormats) {
    if (!begins(in, format.bytes)) continue;
    fail(in.name(), std::string("begins with \"") + format.bytes + "\", like " + format.name +
                        ", expected WAV (RIFF), samples of 16 bits or text; " +
                        (format.in_files ? "give the file by its name" : "convert it to WAV") +
                        ", or stream.input = \"pcm\" if these are samples");
  }
}

// The format of sound by its first bytes: a line of text consists of printable characters, and
// none begins like a WAV file.
SampleFormat detected(Input& in) {
  constexpr std::size_t kMost = 64;
  if (begins(in, "RIFF")) return SampleFormat::kWav;
  if (begins(in, "\xef\xbb\xbf")) return SampleFormat::kText;
  refuse_other_formats(in);
  bool any = false;
  for (std::size_t count = 1; count <= kMost; ++count) {
    const std::string_view bytes = in.peek(count);
    if (bytes.size() < count) break;
    const char c = bytes.back();
    const bool space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (!space && (c < ' ' || c > '~')) return SampleFormat::kPcm;
    if (any && c == '\n') break;
    any = any || !space;
  }
  return SampleFormat::kText;
}

void read_input(Input& in, SampleFormat format, const data::FrontEnd* front_end,
                Streamer& streamer) {
  if (format == SampleFormat::kAuto) {
    format = front_end != nullptr ? detected(in) : SampleFormat::kText;
  }
  switch (format) {
    case SampleFormat::kPcm:
      return read_pcm(in, streamer);
    case SampleFormat::kWav:
      return read_wav(in, *front_end, streamer);
    case SampleFormat::kRaw:
      return read_raw(in, streamer);
    default:
      return read_text(in, streamer);
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

// The front end of a model of recordings; null for other models, for which sound is refused.
const data::FrontEnd* front_end_of(const inference::Model& model, const StreamOptions& options,
                                   const std::vector<std::string>& files) {
  const auto& preparation = model.preparation();
  if (preparation && preparation->front_end) {
    if (!files.empty() && options.input != SampleFormat::kAuto) {
      fail("options", "stream.input = \"" + name_of(options.input) +
                          "\" has no effect on files, which are WAV or FLAC");
    }
    return &*preparation->front_end;
  }
  const std::string why = model.name() + " is not made for recordings";
  if (!files.empty()) fail(files.front(), "a recording, but " + why);
  if (options.input == SampleFormat::kPcm || options.input == SampleFormat::kWav) {
    fail("options", "stream.input = \"" + name_of(options.input) + "\", but " + why +
                        "; expected text or raw");
  }
  return nullptr;
}

int stream_command(const Common& common, const std::string& model,
                   const std::vector<std::string>& files) {
  const StreamOptions options = stream_options(common);
  require_writable_file(common.json);
  const inference::Model loaded = inference::Model::load(model);
  const data::FrontEnd* front_end = front_end_of(loaded, options, files);
  const std::string source = files.empty() ? "standard input" : "the recordings";
  Streamer streamer(loaded, source, lines_of(common, options, loaded.scope()),
                    front_end != nullptr);
  const auto output = prepare_out(common, "stream");
  for (const std::string& file : files) {
    read_recording(file, *front_end, streamer);
    streamer.end_sequence();
  }
  if (files.empty()) {
    Input in(STDIN_FILENO, source);
    read_input(in, options.input, front_end, streamer);
    streamer.end_sequence();
  }
  nlohmann::json result = {
      {"model", model}, {"sequences", streamer.sequences()}, {"steps", streamer.all_steps()}};
  if (front_end != nullptr) {
    result["sound"] = streamer.timing().to_json(*front_end);
    if (!common.quiet) {
      std::fprintf(stderr, "%s\n", streamer.timing().text(*front_end).c_str());
    }
  }
  write_result(common, "stream", result);
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
      "Read samples from standard input, or recordings, and print one line per result, in constant "
      "memory");
  auto common = std::make_shared<Common>();
  auto model = std::make_shared<std::string>();
  auto files = std::make_shared<std::vector<std::string>>();
  command.add("MODEL", *model, "A quantized model").required();
  command.add("FILE", *files,
              "WAV or FLAC files, a sequence each, for a model of recordings; if omitted, standard "
              "input");
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
  command.action([=] { return stream_command(*common, *model, *files); });
}

}  // namespace crosstate::cli
