// crosstate/inference and crosstate/integer: saved models, prediction, streams, certificates.
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/formats/safetensors.h"
#include "crosstate/inference/compare.h"
#include "crosstate/inference/model.h"
#include "crosstate/integer/certificate.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/pipeline/idle.h"
#include "python/bindings/common.h"

namespace crosstate::python {
namespace {

using inference::Model;
using inference::ModelBackend;
using inference::ModelStream;
using nlohmann::json;

ModelBackend backend_of(const Model& model, const std::string& name) {
  const ModelBackend backend =
      name.empty() ? model.backend() : named(kNames<ModelBackend>, name, "backend");
  model.require(backend);
  return backend;
}

// The test set of the data, prepared for the model.
data::Dataset test_set(const Model& model, const Memory* memory, const Settings& settings,
                       ThreadPool& pool, const char* user) {
  pipeline::RunOptions options = run_options(settings, pipeline::test_data_settings(), user);
  use(memory, options.data);
  return pipeline::load_test_data(options.data, model.preparation(), model.name(), pool);
}

// Outputs, and the index of the largest.
using Rows = nb::typed<nb::tuple, Out<float>, Out<std::int64_t>>;

Rows predict(const Model& model, const Memory& memory, const std::string& backend, int threads) {
  inference::Predictions rows;
  Call call;
  {
    const nb::gil_scoped_release release;
    ThreadPool pool(threads);
    const ModelBackend chosen = backend_of(model, backend);
    const data::Dataset set = test_set(model, &memory, {}, pool, "crosstate.Model.predict");
    model.require_fit(set, chosen);
    auto found = model.predict(set, chosen, pool, [&] { return call.stop(); });
    if (found) rows = std::move(*found);
  }
  call.rethrow();
  std::vector<std::int64_t> largest(rows.largest.begin(), rows.largest.end());
  const std::size_t count = rows.count();
  return nb::make_tuple(to_numpy(std::move(rows.values), {count, rows.outputs}),
                        to_numpy(std::move(largest), {count}));
}

// A model and what it predicts for its form of the test data.
struct Evaluated {
  const Model& model;
  ModelBackend backend;
  data::Dataset set;
  inference::Predictions predictions = {};

  Evaluated(const Model& saved, const Memory* memory, const Settings& settings,
            const std::string& backend_name, ThreadPool& pool, const char* user)
      : model(saved),
        backend(backend_of(saved, backend_name)),
        set(test_set(saved, memory, settings, pool, user)) {
    model.require_fit(set, backend);
  }

  // Returns false if stopped.
  bool run(ThreadPool& pool, Call& call) {
    auto found = model.predict(set, backend, pool, [&] { return call.stop(); });
    if (found) predictions = std::move(*found);
    return found.has_value();
  }

  // As `crosstate eval`.
  json result() const {
    const inference::Evaluation scored = inference::evaluate(predictions, set, model.name());
    json result = set.readout.task->to_json(set.readout, scored.sums);
    result.update({{"data", set.name},
                   {"sequences", set.count},
                   {"loss", scored.loss},
                   {"backend", name_of(backend)},
                   {"quantized", backend != ModelBackend::kFloat}});
    if (model.network() != nullptr) result["parameters"] = model.network()->parameter_count();
    if (!set.notes.empty()) result["notes"] = set.notes;
    return result;
  }
};

std::string evaluate(const Model& model, const Memory* memory, const Settings& settings,
                     const std::string& backend, int threads) {
  Call call;
  json result;
  {
    const nb::gil_scoped_release release;
    ThreadPool pool(threads);
    Evaluated tested(model, memory, settings, backend, pool, "crosstate.Model.evaluate");
    if (tested.run(pool, call)) result = tested.result();
  }
  call.rethrow();
  return json_text(result);
}

// As `crosstate eval --compare`.
std::string compare(const Model& first, const Memory* first_memory, const Model& second,
                    const Memory* second_memory, const Settings& settings,
                    const std::string& backend, int threads) {
  constexpr const char* kUser = "crosstate.Model.compare";
  Call call;
  json result;
  {
    const nb::gil_scoped_release release;
    ThreadPool pool(threads);
    Evaluated one(first, first_memory, settings, backend, pool, kUser);
    Evaluated other(second, second_memory, settings, backend, pool, kUser);
    const std::string name = "this model", other_name = "the other model";
    inference::require_comparable({name, one.set}, {other_name, other.set}, "compare");
    if (one.run(pool, call) && other.run(pool, call)) {
      result = one.result();
      result["compared"] = other.result();
      result["paired"] = inference::to_json(
          inference::paired_decisions(one.predictions, one.set, other.predictions, other.set));
    }
  }
  call.rethrow();
  return json_text(result);
}

std::string certificate(const Model& model) {
  json out;
  {
    const nb::gil_scoped_release release;
    const integer::Certificate found = integer::certify(model.integers());
    out = {{"fits_int32", found.fits_int32},
           {"fits_int64", found.fits_int64},
           {"exact_in_float", found.exact_in_float},
           {"obstacle", found.obstacle},
           {"longest_sequence", found.longest_sequence},
           {"accumulators", json::array()},
           {"states", json::array()}};
    for (const integer::AccumulatorBound& bound : found.accumulators) {
      out["accumulators"].push_back(
          {{"name", bound.name}, {"bound", bound.bound}, {"bits", bound.bits()}});
    }
    for (const integer::StateBound& bound : found.states) {
      out["states"].push_back({{"modes", bound.modes},
                               {"never_saturate", bound.never_saturate},
                               {"largest", bound.largest},
                               {"state_error", bound.state_error},
                               {"output_error", bound.output_error}});
    }
  }
  return json_text(out);
}

// What Python needs to interpret inputs and outputs.
std::string facts(const Model& model) {
  const task::Readout readout = model.readout();
  json out = {{"task", readout.task->name()},
              {"names", readout.names},
              {"offset", readout.offset},
              {"scale", readout.scale},
              {"every_step", readout.every_step()},
              {"inputs", model.shape().inputs},
              {"outputs", model.shape().outputs},
              {"metric", readout.task->primary().name},
              {"quantized", model.quantized()},
              {"integer", model.network() == nullptr},
              {"backend", name_of(model.backend())},
              {"not_integer", model.not_integer()},
              {"name", model.name()}};
  const auto& preparation = model.preparation();
  if (preparation && preparation->front_end) {
    out["sample_rate"] = preparation->front_end->sample_rate();
  }
  return json_text(out);
}

}  // namespace

void bind_inference(nb::module_& m) {
  nb::class_<Model>(m, "Model")
      .def_static(
          "load", [](const std::string& file) { return Model::load(file); }, "file"_a,
          nb::call_guard<nb::gil_scoped_release>())
      .def(
          "save", [](const Model& self, const std::string& file) { self.save(file); }, "file"_a,
          nb::call_guard<nb::gil_scoped_release>())
      .def_static(
          "from_bytes",
          [](const nb::bytes& bytes, const std::string& name) {
            const std::string content(bytes.c_str(), bytes.size());
            return Model::from_tensors(formats::parse_safetensors(content, name), name);
          },
          "bytes"_a, "name"_a)
      .def("to_bytes",
           [](const Model& self) {
             const std::string content = formats::format_safetensors(self.to_tensors());
             return nb::bytes(content.data(), content.size());
           })
      .def("facts", &facts)
      .def("describe", [](const Model& self) { return json_text(self.describe()); })
      .def("certificate", &certificate)
      .def("to_integers", &Model::to_integers, nb::call_guard<nb::gil_scoped_release>())
      .def(
          "with_front_end",
          [](const Model& self, const std::string& arithmetic) {
            return self.with_front_end(
                named(kNames<data::FrontEndArithmetic>, arithmetic, "front_end.arithmetic"));
          },
          "arithmetic"_a)
      .def("folded", &Model::folded)
      .def("predict", &predict, "memory"_a, "backend"_a, "threads"_a)
      .def("evaluate", &evaluate, "memory"_a.none(), "settings"_a, "backend"_a, "threads"_a)
      .def("compare", &compare, "memory"_a.none(), "other"_a, "other_memory"_a.none(), "settings"_a,
           "backend"_a, "threads"_a)
      .def("stream", [](const Model& self) { return self.stream("the stream"); });

  nb::class_<ModelStream>(m, "Stream")
      .def_prop_ro("width", &ModelStream::width)
      .def_prop_ro("steps", &ModelStream::steps)
      .def("reset", &ModelStream::reset)
      .def(
          "push",
          [](ModelStream& self, const In<float>& values) {
            const std::size_t width = self.width();
            for (std::size_t at = 0; at + width <= values.size(); at += width) {
              self.push(values_of(values).subspan(at, width));
            }
          },
          "values"_a)
      .def("result", [](const ModelStream& self) -> nb::typed<nb::tuple, Out<float>, nb::int_> {
        const integer::IntegerResult result = self.result();
        std::vector<float> outputs = result.logits();
        const std::size_t count = outputs.size();
        return nb::make_tuple(to_numpy(std::move(outputs), {count}), result.best());
      });
}

}  // namespace crosstate::python
