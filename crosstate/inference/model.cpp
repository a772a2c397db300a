#include "crosstate/inference/model.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/integer/bounds.h"
#include "crosstate/integer/convert.h"
#include "crosstate/integer/engine.h"
#include "crosstate/integer/reference.h"

namespace crosstate::inference {
namespace {

constexpr std::size_t kBatch = 256, kIntegerBlock = 28;

bool on_integers(ModelBackend backend) {
  return backend == ModelBackend::kInteger || backend == ModelBackend::kReference;
}

void add(const std::vector<integer::IntegerResult>& results, Predictions& to) {
  for (const integer::IntegerResult& result : results) {
    const std::vector<float> outputs = result.logits();
    to.values.insert(to.values.end(), outputs.begin(), outputs.end());
    to.largest.push_back(result.best());
  }
}

// Predictions without rows for the sequences of a batch.
Predictions predictions_for(const data::Batch& batch, std::size_t outputs, task::Scope scope) {
  Predictions predictions{outputs, {}, {}};
  if (scope == task::Scope::kStep) {
    predictions.first = data::first_reads(batch, scope);
    predictions.first.pop_back();
  }
  return predictions;
}

// Reduces the outputs of all steps, [count][length][outputs], to those within the length of each
// sequence.
void drop_padding(const data::Batch& batch, std::size_t outputs, std::vector<float>& values) {
  auto to = values.begin();
  for (std::size_t i = 0; i < batch.count; ++i) {
    const auto from = values.begin() + static_cast<std::ptrdiff_t>(i * batch.length * outputs);
    to = std::copy_n(from, batch.lengths[i] * outputs, to);
  }
  values.erase(to, values.end());
}

// Inputs [steps][inputs] of one sequence of a batch.
std::vector<float> sequence_of(const data::Batch& batch, std::size_t i) {
  const std::span<const float> group = batch.group(i / kLanes);
  std::vector<float> values;
  for (std::size_t t = 0; t < batch.lengths[i]; ++t) {
    for (std::size_t c = 0; c < batch.channels; ++c) {
      values.push_back(group[batch.offset(c, t, i % kLanes)]);
    }
  }
  return values;
}

// A file is what its format says: a network or an integer network.
void require_format(const formats::Safetensors& content, const std::string& name) {
  const std::string expected =
      '\'' + model::kNetworkFormat.text() + "' or '" + integer::kIntegerFormat.text() + '\'';
  if (content.metadata.contains(model::kCheckpointKey)) {
    fail(name,
         "a checkpoint of training, which --resume continues; expected a file of the format " +
             expected + ", which training saves when a stage is done");
  }
  const auto format = content.metadata.find("format");
  if (format == content.metadata.end()) {
    fail(name, "no 'format' in the metadata, expected " + expected);
  }
  const bool integers = integer::is_integer_network(content);
  if (!integers && !model::kNetworkFormat.find(format->second)) {
    const std::string& found = format->second;
    fail(name, (found.empty() ? "empty format" : "format '" + excerpt(found) + '\'') +
                   ", expected " + expected);
  }
  const bool has_network = content.metadata.contains("network"),
             has_integers = content.metadata.contains("integer");
  if (has_network == has_integers || has_integers == integers) return;
  fail(name, "format '" + excerpt(format->second) + "', but its metadata are those of '" +
                 (integers ? model::kNetworkFormat : integer::kIntegerFormat).text() + '\'');
}

void require_inputs(const data::Batch& batch, std::size_t inputs, const std::string& model) {
  if (batch.channels == inputs) return;
  fail(model, "made for " + std::to_string(inputs) + " channels, but the batch has " +
                  std::to_string(batch.channels));
}

}  // namespace

Evaluation evaluate(const Predictions& predictions, const data::Dataset& set,
                    const std::string& model) {
  const task::Readout& readout = set.readout;
  Evaluation result;
  result.sums.assign(readout.task->sums(readout), 0);
  if (predictions.first.empty() == readout.every_step()) {
    fail(model, std::string(readout.every_step() ? "not " : "") + "read at every step, but " +
                    set.name + " has a target of every " + readout.unit());
  }
  set.require_any_target();
  std::size_t counted = 0;
  for (std::size_t i = 0; i < set.count; ++i) {
    for (std::size_t k = 0; k < set.targets_of(i); ++k) {
      const std::span<const float> target = set.target(i, k);
      if (readout.every_step() && !task::counts(target)) continue;
      const task::Output output = predictions.of(i, k);
      readout.task->add(readout, output, target, result.sums);
      const double loss = readout.task->loss(readout, output.values, target, {}, {});
      if (!std::isfinite(loss)) {
        fail(model, "its loss on sequence " + std::to_string(i) + " of " + set.name +
                        " is not finite: values of the network overflow");
      }
      result.loss += loss;
      ++counted;
    }
  }
  result.loss /= static_cast<double>(counted);
  return result;
}

Model::Model(model::Network network, std::optional<Preparation> preparation, std::string name)
    : network_(std::move(network)), preparation_(std::move(preparation)), name_(std::move(name)) {}

Model::Model(integer::IntegerNetwork network, std::optional<Preparation> preparation,
             std::string name)
    : network_(std::move(network)), preparation_(std::move(preparation)), name_(std::move(name)) {}

Model Model::load(const std::filesystem::path& file) {
  return from_tensors(formats::read_safetensors(file), file.string());
}

Model Model::from_tensors(const formats::Safetensors& content, const std::string& name) {
  require_format(content, name);
  std::optional<Preparation> preparation = Preparation::load(content, name);
  const auto checked = [&](Model model) {
    formats::refuse_unknown(content, model.to_tensors(), name);
    if (model.preparation_) {
      const model::TaskShape shape = model.shape();
      model.preparation_->require_network(static_cast<std::size_t>(shape.inputs),
                                          static_cast<std::size_t>(shape.outputs), model.scope(),
                                          name);
    }
    return model;
  };
  if (integer::is_integer_network(content)) {
    return checked(Model(integer::integer_network_from(content, name), preparation, name));
  }
  return checked(Model(model::Network::from_tensors(content, name), preparation, name));
}

void Model::save(const std::filesystem::path& file) const {
  formats::write_safetensors(file, to_tensors());
}

formats::Safetensors Model::to_tensors() const {
  formats::Safetensors content =
      network() != nullptr ? network()->to_tensors()
                           : integer::to_tensors(std::get<integer::IntegerNetwork>(network_));
  if (preparation_) preparation_->save(content);
  return content;
}

model::TaskShape Model::shape() const {
  if (network() != nullptr) return network()->task();
  const auto& integers = std::get<integer::IntegerNetwork>(network_);
  return {static_cast<int>(integers.inputs), static_cast<int>(integers.outputs)};
}

task::Scope Model::scope() const {
  return network() != nullptr ? network()->options().readout
                              : std::get<integer::IntegerNetwork>(network_).scope();
}

task::Readout Model::readout() const {
  if (preparation_) return preparation_->readout;
  task::Readout readout;
  readout.scope = scope();
  for (int k = 0; k < shape().outputs; ++k) readout.names.push_back(std::to_string(k));
  return readout;
}

std::size_t Model::block_length() const {
  return network() != nullptr ? static_cast<std::size_t>(network()->options().block_length)
                              : kIntegerBlock;
}

std::string Model::not_integer() const {
  if (network() == nullptr) return "";
  if (!network()->quantized()) {
    return "is a float model, expected a quantized model: see crosstate quantize and train";
  }
  const std::string site = integer::site_in_floating_point(*network());
  if (!site.empty()) return site + ": not an integer network, so it cannot be mapped to a chip";
  if (network()->options().norm == model::Norm::kNone) return "";
  return "integer network: norm is '" + name_of(network()->options().norm) +
         "', expected none: norms must be folded";
}

integer::IntegerNetwork Model::integers() const {
  if (network() == nullptr) return std::get<integer::IntegerNetwork>(network_);
  const std::string why = not_integer();
  if (!why.empty()) fail(name_, why);
  try {
    return integer::to_integers(*network());
  } catch (const Error& error) {
    fail(name_, error.what());
  }
}

Model Model::to_integers() const { return Model(integers(), preparation_, name_); }

Model Model::with_front_end(data::FrontEndArithmetic arithmetic) const {
  if (!preparation_ || !preparation_->front_end) {
    fail(name_, "has no front end, expected a model of recordings to choose its arithmetic");
  }
  Model result = *this;
  result.preparation_->front_end =
      about_file(name_, [&] { return preparation_->front_end->in(arithmetic); });
  return result;
}

Model Model::folded() const {
  if (network() == nullptr || network()->options().norm != model::Norm::kBatch) return *this;
  model::Network network = *this->network();
  network.fold_norms();
  return Model(std::move(network), preparation_, name_);
}

ModelBackend Model::backend() const {
  if (network() == nullptr) return ModelBackend::kInteger;
  return network()->quantized() ? ModelBackend::kFakeQuantized : ModelBackend::kFloat;
}

void Model::require(ModelBackend backend) const {
  if (network() == nullptr && !on_integers(backend)) {
    fail(name_,
         std::string("is an integer network, expected --backend integer, not ") + name_of(backend));
  }
  if (backend != ModelBackend::kFloat && !quantized()) {
    fail(name_, "is a float model, expected --backend float");
  }
  if (network() == nullptr || !on_integers(backend)) return;
  const std::string site = integer::site_in_floating_point(*network());
  if (!site.empty())
    fail(name_, site + ": not an integer network, expected --backend float or fake");
}

Predictor Model::predictor(ModelBackend backend) const {
  require(backend);
  Predictor predictor;
  predictor.backend_ = backend;
  predictor.block_length_ = block_length();
  const std::size_t outputs = static_cast<std::size_t>(shape().outputs);
  if (on_integers(backend)) {
    const auto integers = std::make_shared<const integer::IntegerNetwork>(this->integers());
    if (backend == ModelBackend::kReference) {
      predictor.run_ = [integers, outputs, name = name_](const data::Batch& batch, ThreadPool&) {
        require_inputs(batch, integers->inputs, name);
        Predictions predictions = predictions_for(batch, outputs, integers->scope());
        integer::ReferenceExecutor executor(*integers);
        for (std::size_t i = 0; i < batch.count; ++i) {
          add(executor.read(sequence_of(batch, i), batch.lengths[i]), predictions);
        }
        return predictions;
      };
      return predictor;
    }
    const auto engine = std::make_shared<const integer::IntegerEngine>(*integers);
    predictor.run_ = [integers, engine, outputs](const data::Batch& batch, ThreadPool& pool) {
      Predictions predictions = predictions_for(batch, outputs, integers->scope());
      add(engine->run(batch, pool), predictions);
      return predictions;
    };
    return predictor;
  }
  const auto network = std::make_shared<model::Network>(*this->network());
  if (backend == ModelBackend::kFloat) network->drop_rounding();
  predictor.run_ = [network, outputs, name = name_](const data::Batch& batch, ThreadPool& pool) {
    require_inputs(batch, static_cast<std::size_t>(network->task().inputs), name);
    const task::Scope scope = network->options().readout;
    Predictions predictions = predictions_for(batch, outputs, scope);
    network->evaluate(batch, pool, &predictions.values);
    if (scope == task::Scope::kStep) drop_padding(batch, outputs, predictions.values);
    for (std::size_t row = 0; row * outputs < predictions.values.size(); ++row) {
      const task::Output of_row(std::span(predictions.values).subspan(row * outputs, outputs));
      predictions.largest.push_back(of_row.largest);
    }
    return predictions;
  };
  return predictor;
}

std::optional<Predictions> Model::predict(const data::Dataset& set, ModelBackend backend,
                                          ThreadPool& pool,
                                          const std::function<bool()>& stop) const {
  const Predictor predictor = this->predictor(backend);
  require_fit(set, backend);
  const std::vector<std::uint32_t> order = data::length_order(set);
  Predictions all{static_cast<std::size_t>(shape().outputs), {}, {}};
  std::size_t rows_of_all = set.count;
  if (scope() == task::Scope::kStep) {
    rows_of_all = 0;
    for (std::size_t i = 0; i < set.count; ++i) {
      all.first.push_back(rows_of_all);
      rows_of_all += set.length_of(i);
    }
  }
  all.values.resize(rows_of_all * all.outputs);
  all.largest.resize(rows_of_all);
  data::Batch batch;
  for (std::size_t begin = 0; begin < set.count; begin += kBatch) {
    if (stop && stop()) return std::nullopt;
    const auto rows = std::span(order).subspan(begin, std::min(kBatch, set.count - begin));
    data::fill_batch(set, rows, predictor.block_length(), batch);
    const Predictions some = predictor.run(batch, pool);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::size_t to = all.first.empty() ? rows[i] : all.first[rows[i]];
      for (std::size_t k = 0; k < set.targets_of(rows[i]); ++k) {
        const task::Output row = some.of(i, k);
        std::ranges::copy(row.values,
                          all.values.begin() + static_cast<std::ptrdiff_t>((to + k) * all.outputs));
        all.largest[to + k] = row.largest;
      }
    }
  }
  return all;
}

Predictions Model::predict(const data::Dataset& set, ModelBackend backend, ThreadPool& pool) const {
  return *predict(set, backend, pool, nullptr);
}

void Model::require_fit(const data::Dataset& set, ModelBackend backend) const {
  const model::TaskShape task = shape();
  if (static_cast<std::size_t>(task.inputs) != set.channels ||
      static_cast<std::size_t>(task.outputs) != set.readout.outputs()) {
    const std::string outputs = set.readout.task->categorical() ? " classes" : " target values";
    fail(name_, "made for " + std::to_string(task.inputs) + " channels and " +
                    std::to_string(task.outputs) + outputs + ", but " + set.name + " has " +
                    std::to_string(set.channels) + " and " + std::to_string(set.readout.outputs()));
  }
  if (scope() != set.readout.scope) {
    fail(name_, "read at every " + name_of(scope()) + ", but " + set.name +
                    " has a target of every " + set.readout.unit());
  }
  if (on_integers(backend)) integer::require_length(integers(), set, name_);
}

ModelStream Model::stream(const std::string& source) const {
  return {integers(), preparation_, name_, source};
}

std::filesystem::path integer_file(std::filesystem::path file) {
  return file.replace_extension(".integer.safetensors");
}

}  // namespace crosstate::inference
