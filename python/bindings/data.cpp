// crosstate/data: sequences and recordings in memory, readers and front ends.
#include "crosstate/pipeline/data.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/base/numbers.h"
#include "crosstate/data/audio.h"
#include "crosstate/data/batch.h"
#include "crosstate/data/dataset.h"
#include "crosstate/data/front_end.h"
#include "crosstate/data/series.h"
#include "crosstate/formats/safetensors.h"
#include "crosstate/inference/model.h"
#include "crosstate/pipeline/idle.h"
#include "python/bindings/common.h"

namespace crosstate::python {
namespace {

using nlohmann::json;

// [sequences][steps][channels] with the length of each sequence.
using Sequences = In<float>;
using Lengths = std::vector<std::uint32_t>;

// Parts of a data set whose targets are text or numbers, as in files of series.
class SeriesBuilder {
 public:
  SeriesBuilder(const std::string& task, const std::string& scope)
      : task_(&task::task_named(task, "task")),
        scope_(named(kNames<task::Scope>, scope, "readout")) {}

  // One row of `numbers` [rows][width], or of `texts`, per sequence or step.
  void add(const std::string& where, const Sequences& x, const Lengths& lengths,
           const std::optional<In<double>>& numbers, const std::vector<std::string>& texts,
           std::size_t width, const std::vector<std::string>& names) {
    data::SeriesPart& part = parts_.emplace_back();
    part.where = where;
    part.channels = x.shape(2);
    part.targets.width = width;
    part.targets.names = names;
    const std::size_t steps = x.shape(1);
    std::size_t row = 0;
    for (std::size_t i = 0; i < x.shape(0); ++i) {
      const float* from = x.data() + i * steps * part.channels;
      part.sequences.emplace_back(from, from + lengths[i] * part.channels);
      const std::string place = where + ": sequence " + std::to_string(i);
      for (std::size_t t = 0; t < (scope_ == task::Scope::kStep ? steps : 1); ++t, ++row) {
        if (t >= lengths[i]) continue;
        for (std::size_t k = row * width; k < (row + 1) * width; ++k) {
          part.targets.cells.push_back(numbers ? exact_text(numbers->data()[k]) : texts[k]);
        }
        part.targets.where.push_back(
            scope_ == task::Scope::kStep ? place + ", step " + std::to_string(t) : place);
      }
    }
  }

  // The parts in the order train, validation, test; `has`: which of them were added.
  Memory build(bool has_train, bool has_validation, bool has_test) {
    std::vector<std::string> names;
    if (has_train) names.push_back("training data");
    if (has_validation) names.push_back("validation data");
    if (has_test) names.push_back("test data");
    std::vector<data::Dataset> sets = data::make_series(std::move(parts_), names, *task_, scope_);
    auto next = sets.begin();
    auto all = std::make_shared<data::DataSets>();
    if (has_train) all->train = std::move(*next++);
    if (has_validation) all->validation = std::move(*next++);
    if (has_test) all->test = std::move(*next++);
    return {all, nullptr};
  }

 private:
  const task::Task* task_;
  task::Scope scope_;
  std::vector<data::SeriesPart> parts_;
};

// Test data for a model: targets are [sequences][1 or steps][width] numbers as the task of the
// model defines them, NaN where none counts. Without targets, only outputs can be computed.
Memory sequences_for(const inference::Model& model, const Sequences& x, const Lengths& lengths,
                     const std::optional<In<float>>& targets) {
  auto sets = std::make_shared<data::DataSets>();
  data::Dataset& set = sets->test;
  set.name = "x";
  set.count = x.shape(0);
  set.length = x.shape(1);
  set.channels = x.shape(2);
  set.values.assign(x.data(), x.data() + x.size());
  for (const std::uint32_t length : lengths) {
    if (length != set.length) set.lengths = lengths;
  }
  set.readout = model.readout();
  const std::size_t width = set.readout.width(), rows = set.readout.targets(set.length);
  if (targets) {
    set.targets.assign(targets->data(), targets->data() + targets->size());
  } else {
    set.targets.assign(set.count * rows * width, 0);
  }
  for (std::size_t i = 0; set.readout.every_step() && i < set.count; ++i) {
    std::fill(set.targets.begin() + static_cast<std::ptrdiff_t>((i * rows + lengths[i]) * width),
              set.targets.begin() + static_cast<std::ptrdiff_t>((i + 1) * rows * width),
              task::kNotCounted);
  }
  set.validate();
  return {sets, nullptr};
}

// Recordings of any lengths at one sample rate.
class RecordingsBuilder {
 public:
  RecordingsBuilder(int sample_rate, std::vector<std::string> classes)
      : sets_(std::make_shared<data::AudioSets>()) {
    const auto begin = [&](data::Recordings& part, const char* name) {
      part.name = name;
      part.sample_rate = sample_rate;
      part.classes = classes;
    };
    begin(sets_->train, "training recordings");
    begin(sets_->validation, "validation recordings");
    begin(sets_->test, "test recordings");
  }

  void add(const std::string& part, const std::string& name, const In<float>& samples,
           std::int32_t label, const std::string& speaker) {
    data::Recordings& to = part == "train"        ? sets_->train
                           : part == "validation" ? sets_->validation
                                                  : sets_->test;
    for (std::size_t k = 0; k < samples.size(); ++k) {
      if (!std::isfinite(samples.data()[k])) {
        fail(name, "sample " + std::to_string(k) + " is " + exact_text(samples.data()[k]) +
                       ", expected a finite number");
      }
    }
    to.items.push_back({name, speaker, label, {samples.data(), samples.data() + samples.size()}});
  }

  Memory build() { return {nullptr, std::move(sets_)}; }

 private:
  std::shared_ptr<data::AudioSets> sets_;
};

// --- data in memory as dictionaries, for pickles

using Texts = std::vector<std::string>;

template <class T>
std::vector<T> vector_of(const nb::dict& state, const char* key) {
  const auto array = nb::cast<In<T>>(state[key]);
  return {array.data(), array.data() + array.size()};
}

template <class T>
Out<T> array_of(const std::vector<T>& values) {
  return to_numpy(std::vector<T>(values), {values.size()});
}

PyDict state_of(const data::Dataset& set) {
  PyDict state;
  state["name"] = set.name;
  state["shape"] = nb::make_tuple(set.count, set.length, set.channels);
  state["values"] = array_of(set.values);
  state["targets"] = array_of(set.targets);
  state["lengths"] = array_of(set.lengths);
  state["task"] = set.readout.task->name();
  state["names"] = set.readout.names;
  state["offset"] = array_of(set.readout.offset);
  state["scale"] = array_of(set.readout.scale);
  state["scope"] = name_of(set.readout.scope);
  state["speakers"] = set.speakers;
  state["notes"] = set.notes;
  return state;
}

data::Dataset dataset_of(const nb::dict& state) {
  data::Dataset set;
  set.name = nb::cast<std::string>(state["name"]);
  const auto shape = nb::cast<std::vector<std::size_t>>(state["shape"]);
  set.count = shape.at(0);
  set.length = shape.at(1);
  set.channels = shape.at(2);
  set.values = vector_of<float>(state, "values");
  set.targets = vector_of<float>(state, "targets");
  set.lengths = vector_of<std::uint32_t>(state, "lengths");
  set.readout.task = &task::task_named(nb::cast<std::string>(state["task"]), "data");
  set.readout.names = nb::cast<Texts>(state["names"]);
  set.readout.offset = vector_of<double>(state, "offset");
  set.readout.scale = vector_of<double>(state, "scale");
  set.readout.scope = named(kNames<task::Scope>, nb::cast<std::string>(state["scope"]), "data");
  set.speakers = nb::cast<Texts>(state["speakers"]);
  set.notes = nb::cast<Texts>(state["notes"]);
  set.validate();
  return set;
}

PyDict state_of(const data::Recordings& set) {
  PyDict state;
  state["name"] = set.name;
  state["sample_rate"] = set.sample_rate;
  state["classes"] = set.classes;
  nb::list items;
  for (const data::Recording& one : set.items) {
    items.append(nb::make_tuple(one.name, one.speaker, one.label, array_of(one.samples)));
  }
  state["items"] = items;
  return state;
}

data::Recordings recordings_of(const nb::dict& state) {
  data::Recordings set;
  set.name = nb::cast<std::string>(state["name"]);
  set.sample_rate = nb::cast<int>(state["sample_rate"]);
  set.classes = nb::cast<Texts>(state["classes"]);
  for (const nb::handle item : nb::cast<nb::list>(state["items"])) {
    const auto samples = nb::cast<In<float>>(item[3]);
    set.items.push_back({nb::cast<std::string>(item[0]),
                         nb::cast<std::string>(item[1]),
                         nb::cast<std::int32_t>(item[2]),
                         {samples.data(), samples.data() + samples.size()}});
  }
  return set;
}

// The parts of either kind of data, by name.
PyDict state_of(const Memory& memory) {
  PyDict state;
  const auto add = [&](const char* kind, const auto& parts) {
    PyDict all;
    all["train"] = state_of(parts.train);
    all["validation"] = state_of(parts.validation);
    all["test"] = state_of(parts.test);
    state[kind] = all;
  };
  if (memory.sets) add("sets", *memory.sets);
  if (memory.recordings) add("recordings", *memory.recordings);
  return state;
}

Memory memory_of(const nb::dict& state) {
  const auto part = [](const nb::handle parts, const char* name) {
    return nb::cast<nb::dict>(parts[name]);
  };
  if (state.contains("sets")) {
    const nb::object parts = state["sets"];
    return {std::make_shared<data::DataSets>(data::DataSets{dataset_of(part(parts, "train")),
                                                            dataset_of(part(parts, "validation")),
                                                            dataset_of(part(parts, "test"))}),
            nullptr};
  }
  const nb::object parts = state["recordings"];
  return {nullptr, std::make_shared<data::AudioSets>(
                       data::AudioSets{recordings_of(part(parts, "train")),
                                       recordings_of(part(parts, "validation")),
                                       recordings_of(part(parts, "test")),
                                       {}})};
}

// --- what readers and front ends give

PyDict to_python(const data::Dataset& set) {
  PyDict out;
  out["name"] = set.name;
  out["x"] = to_numpy(set.values, {set.count, set.length, set.channels});
  std::vector<std::int64_t> lengths;
  for (std::size_t i = 0; i < set.count; ++i) {
    lengths.push_back(static_cast<std::int64_t>(set.length_of(i)));
  }
  out["lengths"] = to_numpy(std::move(lengths), {set.count});
  out["targets"] = to_numpy(
      set.targets,
      {set.count, set.count > 0 ? set.readout.targets(set.length) : 1, set.readout.width()});
  out["names"] = set.readout.names;
  out["task"] = set.readout.task->name();
  out["every_step"] = set.readout.every_step();
  out["speakers"] = set.speakers;
  return out;
}

PyDict read_data(const Settings& settings, const Memory* memory, const std::string& config,
                 int threads) {
  pipeline::RunOptions options = run_options(
      settings, {"data.", "front_end.", "train.validation", "run.seed", "model.readout"},
      "crosstate.read", "", config);
  use(memory, options.data);
  pipeline::RunData data;
  {
    const nb::gil_scoped_release release;
    ThreadPool pool(threads);
    data = pipeline::load_run_data(options, pool);
  }
  PyDict out;
  out["train"] = to_python(data.training);
  out["validation"] = to_python(data.validation);
  out["test"] = to_python(data.test);
  out["notes"] = data.notes;
  return out;
}

data::FrontEnd front_end(const Settings& settings, int sample_rate) {
  const pipeline::RunOptions options = run_options(settings, {"front_end."}, "crosstate.FrontEnd");
  return data::FrontEnd(options.front_end, sample_rate);
}

data::Recordings recordings_of(const std::vector<In<float>>& samples, int sample_rate) {
  data::Recordings set;
  set.name = "recordings";
  set.sample_rate = sample_rate;
  set.classes = {"0"};
  for (const In<float>& one : samples) {
    set.items.push_back({"recording " + std::to_string(set.items.size()),
                         "",
                         0,
                         {one.data(), one.data() + one.size()}});
  }
  return set;
}

}  // namespace

void bind_data(nb::module_& m) {
  nb::class_<Memory>(m, "Memory", "Data in memory, as runs use them.")
      .def_prop_ro("test_count",
                   [](const Memory& memory) {
                     return memory.sets ? memory.sets->test.count
                                        : memory.recordings->test.items.size();
                   })
      .def_prop_ro("classes",
                   [](const Memory& memory) {
                     return memory.sets ? memory.sets->train.readout.names
                                        : memory.recordings->train.classes;
                   })
      .def("__getstate__", [](const Memory& memory) { return state_of(memory); })
      .def("__setstate__",
           [](Memory& memory, const PyDict& state) { new (&memory) Memory(memory_of(state)); });
  nb::class_<SeriesBuilder>(m, "SeriesBuilder")
      .def(nb::init<const std::string&, const std::string&>(), "task"_a, "readout"_a)
      .def("add", &SeriesBuilder::add, "where"_a, "x"_a, "lengths"_a, "numbers"_a.none(), "texts"_a,
           "width"_a, "names"_a)
      .def("build", &SeriesBuilder::build, "has_train"_a, "has_validation"_a, "has_test"_a);
  nb::class_<RecordingsBuilder>(m, "RecordingsBuilder")
      .def(nb::init<int, std::vector<std::string>>(), "sample_rate"_a, "classes"_a)
      .def("add", &RecordingsBuilder::add, "part"_a, "name"_a, "samples"_a, "label"_a, "speaker"_a)
      .def("build", &RecordingsBuilder::build);
  m.def("sequences_for", &sequences_for, "model"_a, "x"_a, "lengths"_a, "targets"_a.none());
  m.def("read_data", &read_data, "settings"_a, "memory"_a.none(), "config"_a, "threads"_a);
  nb::class_<data::FrontEnd>(m, "FrontEnd")
      .def(
          "__init__",
          [](data::FrontEnd* self, const Settings& settings, int sample_rate) {
            new (self) data::FrontEnd(front_end(settings, sample_rate));
          },
          "settings"_a, "sample_rate"_a)
      .def("__getstate__",
           [](const data::FrontEnd& self) {
             formats::Safetensors content;
             self.save(content);
             const std::string bytes = formats::format_safetensors(content);
             return nb::bytes(bytes.data(), bytes.size());
           })
      .def("__setstate__",
           [](data::FrontEnd& self, const nb::bytes& state) {
             const std::string bytes(state.c_str(), state.size());
             new (&self) data::FrontEnd(
                 data::FrontEnd::load(formats::parse_safetensors(bytes, "front end"), "front end"));
           })
      .def_prop_ro("features", &data::FrontEnd::features)
      .def_prop_ro("hop", &data::FrontEnd::hop)
      .def_prop_ro("window", &data::FrontEnd::window)
      .def_prop_ro("sample_rate", &data::FrontEnd::sample_rate)
      .def_prop_ro(
          "mean",
          [](const data::FrontEnd& self) { return to_numpy(self.mean(), {self.mean().size()}); },
          nb::rv_policy::move)
      .def_prop_ro(
          "scale",
          [](const data::FrontEnd& self) { return to_numpy(self.scale(), {self.scale().size()}); },
          nb::rv_policy::move)
      .def(
          "fit",
          [](data::FrontEnd& self, const std::vector<In<float>>& samples, int threads) {
            const data::Recordings set = recordings_of(samples, self.sample_rate());
            data::FrontEnd fitted = self;  // other threads may use the object during the call
            {
              const nb::gil_scoped_release release;
              ThreadPool pool(threads);
              fitted.fit(set, pool);
            }
            self = std::move(fitted);
          },
          "samples"_a, "threads"_a)
      .def(
          "transform",
          [](const data::FrontEnd& self, const std::vector<In<float>>& samples, int threads) {
            const data::Recordings set = recordings_of(samples, self.sample_rate());
            const data::FrontEnd front_end = self;
            data::Dataset made;
            {
              const nb::gil_scoped_release release;
              ThreadPool pool(threads);
              made = data::make_sequences(set, front_end, pool);
            }
            return to_python(made);
          },
          "samples"_a, "threads"_a);

  m.def(
      "training_order",
      [](std::size_t count, const std::vector<std::uint32_t>& lengths, std::size_t batch,
         std::uint64_t seed, std::uint32_t epoch) {
        data::Dataset set;
        set.count = count;
        set.lengths = lengths;
        const std::vector<std::uint32_t> order = data::training_order(set, batch, seed, epoch);
        return to_numpy(std::vector<std::int64_t>(order.begin(), order.end()), {count});
      },
      "count"_a, "lengths"_a, "batch"_a, "seed"_a, "epoch"_a);
}

}  // namespace crosstate::python
