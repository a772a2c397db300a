// All tasks through all stages of the command line: float training, post-training quantization,
// quantization-aware training, integer inference, chips, pruning, stream, sweep and reports.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "crosstate/base/json.h"
#include "crosstate/base/random.h"
#include "crosstate/data/mnist.h"
#include "crosstate/formats/matrix.h"
#include "tests/cli.h"

namespace crosstate {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class TaskStages : public Cli {
 protected:
  struct Expected {
    std::string task, metric;
    double least;               // lowest allowed primary metric after every training
    std::string details;        // a title in the report
    std::size_t answer_fields;  // of a line of stream, without the steps
    std::vector<std::string> settings = {};
  };

  static bool every_step(const Expected& expected) {
    return std::ranges::count(expected.settings, "model.readout=step") > 0;
  }

  // Settings for a short run, for the command line and in a sweep file.
  static std::vector<std::string> small(const Expected& expected) {
    std::vector<std::string> settings = {"data.task=" + expected.task,
                                         "run.calibration=64",
                                         "model.channels=8",
                                         "model.states=8",
                                         "model.layers=1",
                                         "train.batch=16",
                                         "qat.batch=16",
                                         "train.epochs=12",
                                         "qat.epochs=4",
                                         "train.learning_rate=0.02",
                                         "qat.learning_rate=0.01"};
    settings.insert(settings.end(), expected.settings.begin(), expected.settings.end());
    return settings;
  }
  static std::vector<std::string> with(std::vector<std::string> arguments,
                                       const std::vector<std::string>& settings) {
    arguments.insert(arguments.end(), {"--threads", "1"});
    for (const std::string& setting : settings)
      arguments.insert(arguments.end(), {"--set", setting});
    return arguments;
  }
  static std::vector<std::string> about(const std::string& section,
                                        const std::vector<std::string>& settings) {
    std::vector<std::string> chosen;
    for (const std::string& setting : settings) {
      if (setting.starts_with(section)) chosen.push_back(setting);
    }
    return chosen;
  }
  json read(const std::string& name) const { return parse_json(read_file(path(name))); }
  void expect_success(const std::vector<std::string>& arguments) const {
    const Result result = call(arguments);
    std::string line;
    for (const std::string& argument : arguments) line += argument + ' ';
    ASSERT_EQ(result.code, 0) << line << result.err;
  }

  void train_and_test(const Expected& e, const std::vector<std::string>& settings) const {
    std::vector<std::string> run = settings;
    for (const char* setting : {"run.crossbar=true", "simulate.chips=2", "sweep.noise=0.02",
                                "sweep.chips=1", "sweep.sequences=32"}) {
      run.emplace_back(setting);
    }
    // demo: the stages of train, plus a report.
    expect_success(with({"demo", "--data", path("data"), "--out", path("run")}, run));
    const json summary = read("run/summary.json");
    for (const char* stage : {"float", "ptq", "qat"}) {
      // The loss by post-training quantization depends on the task.
      if (stage != std::string("ptq")) {
        EXPECT_GT(summary.at(stage).at(e.metric), e.least) << stage;
      }
      EXPECT_TRUE(summary.at(stage).contains("validation_" + e.metric)) << stage;
    }
    EXPECT_GT(summary.at("crossbar").at(e.metric + "_mean"), e.least - 0.3);
    EXPECT_THAT(read_file(path("run/report.html")), HasSubstr(e.details));
    EXPECT_THAT(read_file(path("run/qat.jsonl")), HasSubstr("\"validation_" + e.metric + '"'));
  }

  void evaluate(const Expected& e, const std::vector<std::string>& settings,
                std::size_t sequences) const {
    std::vector<std::string> data = about("data.", settings);
    std::erase_if(data, [](const std::string& s) { return s.starts_with("data.train_limit"); });
    // The task is taken from the model.
    std::erase_if(data, [](const std::string& s) { return s.starts_with("data.task"); });
    double found[2] = {};
    for (const std::string backend : {"fake", "integer"}) {
      const std::string out = path(backend + ".json");
      expect_success(with({"eval", path("run/qat.safetensors"), "--data", path("data"), "--backend",
                           backend, "--json", out, "--predictions", path("predictions.csv")},
                          data));
      found[backend == "integer"] = read(backend + ".json").at(e.metric);
      const std::string lines = read_file(path("predictions.csv"));
      EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'),
                static_cast<std::ptrdiff_t>(sequences + 1));
    }
    EXPECT_NEAR(found[0], found[1], 0.02);
    const Result text =
        call(with({"eval", path("run/qat.integer.safetensors"), "--data", path("data")}, data));
    EXPECT_THAT(text.out, HasSubstr(e.details)) << text.err;

    expect_success(with({"simulate", path("run/qat.safetensors"), "--data", path("data"), "--chips",
                         "2", "--times", "0 1d", "--out", path("chips")},
                        data));
    const json chips = read("chips/simulate.json");
    EXPECT_EQ(chips.at(e.metric).size(), 2u);
    EXPECT_GT(chips.at(e.metric + "_mean"), e.least - 0.3);
    expect_success(with({"simulate", path("run/qat.safetensors"), "--data", path("data"), "--chips",
                         "3", "--times", "0 1d", "--out", path("chips"), "--resume"},
                        data));
    EXPECT_EQ(read("chips/simulate.json").at(e.metric).at(0), chips.at(e.metric).at(0));
  }

  void change(const Expected& e, const std::vector<std::string>& settings) const {
    std::vector<std::string> quantizing = about("data.", settings);
    quantizing.emplace_back("run.calibration=64");
    quantizing.emplace_back("quant.preset=w8a8s8");
    expect_success(with(
        {"quantize", path("run/float.safetensors"), "--data", path("data"), "--out", path("ptq")},
        quantizing));
    EXPECT_EQ(read("ptq/quantize.json").at(e.metric),
              read("run/summary.json").at("ptq").at(e.metric));
    std::vector<std::string> pruning = about("data.", settings);
    for (const std::string& setting : about("qat.", settings)) pruning.push_back(setting);
    pruning.emplace_back("prune.states=0.25");
    expect_success(with(
        {"prune", path("run/qat.safetensors"), "--data", path("data"), "--out", path("pruned")},
        pruning));
    const json point = read("pruned/prune.json").at("models").at(0).at("points").at(0);
    EXPECT_GT(point.at(e.metric), e.least - 0.2);
    EXPECT_TRUE(point.contains(e.metric + "_one_shot"));
  }

  void sweep(const Expected& e, const std::vector<std::string>& settings) const {
    std::string file;
    for (const std::string& setting : settings) {
      const std::size_t equals = setting.find('=');
      const std::string value = setting.substr(equals + 1);
      const bool number = value.find_first_not_of("0123456789.") == value.npos;
      file += setting.substr(0, equals) + " = " + (number ? value : '"' + value + '"') + '\n';
    }
    file += "[grid]\n\"quant.preset\" = [\"w8a8s8\", \"w4a8s8\"]\n";
    write("sweep.toml", file);
    const Result result = call({"sweep", path("sweep.toml"), "--data", path("data"), "--out",
                                path("sweep"), "--json", path("sweep.json")});
    ASSERT_EQ(result.code, 0) << result.err;
    for (const json& point : read("sweep.json").at("points")) {
      const json& metrics = point.at("metrics");
      EXPECT_EQ(metrics.at(e.metric), metrics.at("integer_" + e.metric));
      EXPECT_GT(metrics.at("qat_" + e.metric), e.least - 0.2);
    }
    EXPECT_THAT(read_file(path("sweep/front.csv")),
                HasSubstr(",bytes,bytes_deviation," + e.metric));
    EXPECT_THAT(read_file(path("sweep/results.csv")), HasSubstr(",integer_" + e.metric));
    EXPECT_THAT(call({"sweep", "--dump", "--out", path("sweep")}).out,
                HasSubstr(",float_" + e.metric));
  }

  // One field per target, then the values of the sequence; a step has one value.
  void write_series(const std::string& header, const std::vector<std::vector<double>>& targets,
                    const std::vector<std::vector<float>>& sequences, std::size_t test) const {
    const std::size_t train = sequences.size() - test;
    for (const std::string part : {"train", "test"}) {
      std::string text = header + '\n';
      const std::size_t first = part == "train" ? 0 : train;
      for (std::size_t i = first; i < (part == "train" ? train : sequences.size()); ++i) {
        for (const double y : targets[i]) text += std::to_string(y) + ',';
        for (const float x : sequences[i]) text += std::to_string(x) + ',';
        text.back() = '\n';
      }
      write("data/" + part + ".csv", text);
    }
  }

  // A target and a value per step; an empty line ends a sequence. NaN: no target.
  void write_steps(const std::string& header, const std::vector<std::vector<double>>& targets,
                   const std::vector<std::vector<float>>& sequences, std::size_t test) const {
    const std::size_t train = sequences.size() - test;
    std::string text[2] = {header + '\n', header + '\n'};
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      std::string& of_part = text[i < train ? 0 : 1];
      for (std::size_t t = 0; t < sequences[i].size(); ++t) {
        if (!std::isnan(targets[i][t])) of_part += std::to_string(targets[i][t]);
        of_part += ',' + std::to_string(sequences[i][t]) + '\n';
      }
      of_part += '\n';
    }
    write("data/train.csv", text[0]);
    write("data/test.csv", text[1]);
  }

  void stream(const Expected& e, std::span<const float> sequence) const {
    std::string text;
    for (const float x : sequence) text += std::to_string(x) + '\n';
    write("stdin.txt", text);
    const Result result = call({"stream", path("run/qat.integer.safetensors")});
    ASSERT_EQ(result.code, 0) << result.err;
    const std::size_t lines = every_step(e) ? sequence.size() : 1;
    EXPECT_THAT(result.out,
                testing::StartsWith(
                    (every_step(e) ? std::string("1") : std::to_string(sequence.size())) + ','));
    EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'),
              static_cast<std::ptrdiff_t>(lines));
    EXPECT_EQ(std::count(result.out.begin(), result.out.end(), ','),
              static_cast<std::ptrdiff_t>(lines * e.answer_fields));
    fs::remove(path("stdin.txt"));
  }

  void expect_every_stage(const Expected& e, std::span<const float> sequence,
                          std::size_t sequences) const {
    const std::vector<std::string> settings = small(e);
    ASSERT_NO_FATAL_FAILURE(train_and_test(e, settings));
    ASSERT_NO_FATAL_FAILURE(evaluate(e, settings, sequences));
    ASSERT_NO_FATAL_FAILURE(stream(e, sequence));
    ASSERT_NO_FATAL_FAILURE(change(e, settings));
    ASSERT_NO_FATAL_FAILURE(sweep(e, settings));
  }
};

// Noise whose mean and standard deviation are the targets, in units far from 0 and 1.
TEST_F(TaskStages, RegressionOfTwoValues) {
  std::vector<std::vector<double>> targets;
  std::vector<std::vector<float>> sequences;
  for (std::uint32_t i = 0; i < 360; ++i) {
    Random random(1, Stream::kTest, i);
    const double mean = random.uniform(-1, 1), deviation = random.uniform(0.1, 1);
    targets.push_back({200 + 30 * mean, 1e-3 * deviation});
    std::vector<float>& sequence = sequences.emplace_back();
    for (int t = 0; t < 40; ++t) {
      sequence.push_back(static_cast<float>(mean + deviation * random.normal()));
    }
  }
  write_series("level,spread", targets, sequences, 80);
  const Expected expected{"regression", "r2", 0.4, "Values", 2, {"data.targets=2"}};
  expect_every_stage(expected, sequences.back(), 80);
  EXPECT_EQ(read("fake.json").at("outputs").size(), 2u);
  // In the units of the file.
  EXPECT_THAT(read_file(path("predictions.csv")),
              HasSubstr("index,level,predicted level,spread,predicted spread\n0,"));
  expect_refused({"eval", path("run/qat.safetensors")}, {"made for regression"});
  expect_refused(
      with({"train", "--data", path("data"), "--out", path("other")}, {"data.targets=2"}),
      {"data.task", "regression"});
  expect_refused(with({"train", "--data", path("data"), "--out", path("other")},
                      {"data.targets=2", "data.task=regression", "train.class_weights=balanced"}),
                 {"class_weights"});
}

TEST_F(TaskStages, ClassificationOfSeries) {
  std::vector<std::vector<double>> targets;
  std::vector<std::vector<float>> sequences;
  for (std::uint32_t i = 0; i < 300; ++i) {
    Random random(2, Stream::kTest, i);
    const int label = i % 10 == 0 ? 2 : static_cast<int>(i % 2);  // the third is rare
    targets.push_back({static_cast<double>(label)});
    std::vector<float>& sequence = sequences.emplace_back();
    for (int t = 0; t < 24; ++t) {
      sequence.push_back(static_cast<float>(label - 1 + 0.8 * random.normal()));
    }
  }
  write_series("kind", targets, sequences, 60);
  const Expected expected{"classification",   "accuracy", 0.6,
                          "Confusion matrix", 4,          {"train.class_weights=balanced"}};
  expect_every_stage(expected, sequences.back(), 60);
  const json result = read("integer.json");
  EXPECT_EQ(result.at("confusion").size(), 3u);
  EXPECT_EQ(result.at("recall").size(), 3u);
  EXPECT_GT(result.at("macro_f1"), 0.5);
}

// Three labels at once: the digit is even, above four, drawn with a loop.
TEST_F(TaskStages, MultiLabelOfDigits) {
  constexpr std::size_t kPooled = 14;
  const data::TrainTest sample = data::read_mnist_sample();
  std::vector<std::vector<double>> targets;
  std::vector<std::vector<float>> sequences;
  const auto add = [&](const data::Dataset& set, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const int digit = static_cast<int>(set.targets[i]);
      const bool loop = digit == 0 || digit == 6 || digit == 8 || digit == 9;
      targets.push_back({digit % 2 == 0 ? 1.0 : 0.0, digit > 4 ? 1.0 : 0.0, loop ? 1.0 : 0.0});
      const std::span<const float> pixels = set.sequence(i);
      std::vector<float>& sequence = sequences.emplace_back();
      for (std::size_t t = 0; t < pixels.size(); t += kPooled) {
        float sum = 0;
        for (std::size_t k = t; k < t + kPooled; ++k) sum += pixels[k];
        sequence.push_back(sum / 4);
      }
    }
  };
  add(sample.train, 800);
  add(sample.test, 200);
  write_series("even,above_four,loop", targets, sequences, 200);
  const Expected expected{
      "multi-label", "macro_f1", 0.65,
      "Classes",     4,          {"data.targets=3", "train.class_weights=balanced"}};
  expect_every_stage(expected, sequences.back(), 200);
  const json result = read("integer.json");
  EXPECT_GT(result.at("exact_match"), 0.3);
  EXPECT_LT(result.at("hamming_loss"), 0.35);
  EXPECT_EQ(result.at("classes").size(), 3u);
  EXPECT_THAT(read_file(path("predictions.csv")),
              HasSubstr("index,even,predicted even,probability of even,above_four,"));
}

// Digits of different lengths; the target of every step is whether the step two before was bright.
TEST_F(TaskStages, ClassificationOfSteps) {
  constexpr std::size_t kPooled = 14, kDelay = 2;
  const data::TrainTest sample = data::read_mnist_sample();
  std::vector<std::vector<double>> targets;
  std::vector<std::vector<float>> sequences;
  std::size_t test_steps = 0;
  const auto add = [&](const data::Dataset& set, std::size_t count, bool test) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::span<const float> pixels = set.sequence(i);
      std::vector<float>& sequence = sequences.emplace_back();
      std::vector<double>& target = targets.emplace_back();
      for (std::size_t t = 0; t < 40 + i % 17; ++t) {
        float sum = 0;
        for (std::size_t k = 0; k < kPooled; ++k) sum += pixels[t * kPooled + k];
        sequence.push_back(sum / 4);
        target.push_back(t < kDelay ? std::nan("") : sequence[t - kDelay] > 0.5f ? 1.0 : 0.0);
      }
      test_steps += test ? sequence.size() : 0;
    }
  };
  add(sample.train, 240, false);
  add(sample.test, 60, true);
  write_steps("bright", targets, sequences, 60);
  const Expected expected{"classification",   "accuracy", 0.75,
                          "Confusion matrix", 3,          {"model.readout=step"}};
  expect_every_stage(expected, sequences.back(), test_steps);
  const json result = read("integer.json");
  EXPECT_EQ(result.at("sequences"), 60);
  double counted = 0;
  for (const json& row : result.at("confusion")) {
    for (const json& count : row) counted += count.get<double>();
  }
  EXPECT_EQ(counted, static_cast<double>(test_steps - 60 * kDelay));
  // One line per step; the first two have no target.
  EXPECT_THAT(read_file(path("predictions.csv")),
              testing::StartsWith("index,step,label,prediction,probability\n0,0,,"));
  EXPECT_THAT(read_file(path("run/report.html")), HasSubstr("steps by class"));
  expect_refused(with({"train", "--out", path("other")}, {"model.readout=step"}),
                 {"model.readout", "images"});
  expect_refused(with({"train", "--data", path("data"), "--out", path("other")},
                      {"data.task=classification", "model.readout=step", "model.pooling=last"}),
                 {"model.pooling", "model.readout"});
  // A network that reads whole sequences interprets each step's label and value as a sequence.
  expect_refused(
      with({"train", "--data", path("data"), "--out", path("other")}, {"data.task=regression"}),
      {"train.csv:2", "target"});
}

// The value before the last one, from NPZ files.
TEST_F(TaskStages, RegressionOfSteps) {
  constexpr std::size_t kSteps = 24;
  fs::create_directories(path("data"));
  for (const std::uint32_t part : {0u, 1u}) {
    const std::size_t count = part == 0 ? 120 : 40;
    formats::Matrix x{count, kSteps, {}}, y{count, kSteps, {}};
    for (std::uint32_t i = 0; i < count; ++i) {
      Random random(3 + part, Stream::kTest, i);
      for (std::size_t t = 0; t < kSteps; ++t) {
        x.values.push_back(random.normal());
        y.values.push_back(t == 0 ? std::nan("") : 50 + 10 * x.values[i * kSteps + t - 1]);
      }
    }
    write(part == 0 ? "data/train.npz" : "data/test.npz",
          formats::format_npz({{"x", x}, {"y", y}}));
  }
  const Expected expected{"regression", "r2", 0.3, "Values", 1, {"model.readout=step"}};
  std::vector<std::string> settings = small(expected);
  settings.emplace_back("qat.distill=0.5");
  ASSERT_NO_FATAL_FAILURE(train_and_test(expected, settings));
  ASSERT_NO_FATAL_FAILURE(evaluate(expected, small(expected), 40 * kSteps));
  EXPECT_THAT(read_file(path("predictions.csv")),
              testing::StartsWith("index,step,y0,predicted y0\n0,0,,"));
  ASSERT_NO_FATAL_FAILURE(stream(expected, std::vector<float>(5, 0.5f)));
}

}  // namespace
}  // namespace crosstate
