#include "crosstate/model/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/model/testing.h"

namespace crosstate::model {
namespace {

using reference::batch_of;
using reference::GradientCheck;
using reference::random_network;
using reference::random_set;
using reference::sequence_of;
using reference::small_options;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::vector<std::vector<double>> gradients_of(Network network, const data::Batch& batch,
                                              const LossOptions& loss, int threads = 1) {
  ThreadPool pool(threads);
  network.train_step(batch, loss, pool);
  std::vector<std::vector<double>> all;
  for (const Parameter& p : network.parameters()) all.push_back(p.gradient);
  return all;
}

std::string describe(const ModelOptions& o) {
  return name_of(o.activation) + " " + name_of(o.gate) + " " + name_of(o.norm) + " " +
         name_of(o.pooling) + " " + name_of(o.modes) + " " + name_of(o.init) + " " +
         name_of(o.discretization) + (o.train_b ? " B" : "") + " channels " +
         std::to_string(o.channels) + " layers " + std::to_string(o.layers);
}

// All activations, gates and norms; `body` varies the rest with the index of the combination.
template <class Body>
void for_each_kind(Body body) {
  int number = 0;
  for (const kernels::Activation activation :
       {kernels::Activation::kGelu, kernels::Activation::kHardGelu, kernels::Activation::kRelu,
        kernels::Activation::kIdentity}) {
    for (const Gate gate : {Gate::kSigmoid, Gate::kHardSigmoid, Gate::kNone}) {
      for (const Norm norm : {Norm::kBatch, Norm::kLayer, Norm::kNone}) {
        ModelOptions o = small_options();
        o.activation = activation;
        o.gate = gate;
        o.norm = norm;
        body(o, number++);
      }
    }
  }
}

void vary_recurrence(ModelOptions& o, bool complex, bool bilinear) {
  o.modes = complex ? ModeKind::kComplex : ModeKind::kReal;
  o.init = complex ? PoleStart::kLin : PoleStart::kReal;
  o.discretization = bilinear ? Discretization::kBilinear : Discretization::kZeroOrderHold;
}

// --- forward -------------------------------------------------------------------------------------

void expect_reference(Network& network, const data::Dataset& set, reference::Form form) {
  ThreadPool pool(1);
  const auto values = reference::values_of<double>(network);
  std::vector<float> logits;
  const BatchResult result = network.evaluate(batch_of(set), pool, &logits);
  const auto classes = static_cast<std::size_t>(network.task().outputs);
  ASSERT_EQ(logits.size(), set.count * classes);
  double loss = 0, largest = 1;
  std::size_t correct = 0;
  std::vector<std::vector<double>> wanted;
  for (std::size_t i = 0; i < set.count; ++i) {
    wanted.push_back(reference::logits(values, sequence_of(set, i), form));
    const auto top = std::max_element(wanted[i].begin(), wanted[i].end());
    const auto truth = static_cast<std::size_t>(set.targets[i]);
    double total = 0;
    for (const double z : wanted[i]) {
      total += std::exp(z - *top);
      largest = std::max(largest, std::abs(z));
    }
    loss += (std::log(total) + *top - wanted[i][truth]) / static_cast<double>(set.count);
    correct += static_cast<std::size_t>(top - wanted[i].begin()) == truth;
  }
  const double bound = reference::kNetworkTolerance * largest;
  for (std::size_t i = 0; i < set.count; ++i) {
    for (std::size_t k = 0; k < classes; ++k) {
      ASSERT_NEAR(logits[i * classes + k], wanted[i][k], bound) << "sequence " << i;
    }
  }
  EXPECT_NEAR(result.loss, loss, 2 * bound);
  EXPECT_EQ(task::primary_value(set.readout, result.sums) * static_cast<double>(set.count),
            static_cast<double>(correct));
}

TEST(Network, EqualsTheReferenceInEveryCombination) {
  for_each_kind([](ModelOptions o, int number) {
    for (int part = 0; part < 8; ++part) {
      vary_recurrence(o, part % 2 == 0, part / 2 % 2 == 1);
      o.pooling = part / 4 == 0 ? Pooling::kMean : Pooling::kLast;
      o.channels = std::vector{1, 3, 17}[static_cast<std::size_t>((number + part) % 3)];
      o.layers = (number + part) % 4 == 0 ? 4 : 1;
      o.train_b = (number + part) % 5 == 0;
      if (o.modes == ModeKind::kComplex && number % 3 > 0)
        o.init = number % 3 == 1 ? PoleStart::kInv : PoleStart::kLegs;
      const TaskShape task{1 + (number + part) % 3, 5};
      SCOPED_TRACE(describe(o) + " inputs " + std::to_string(task.inputs));
      Network network = random_network(o, task, static_cast<std::uint64_t>(number));
      const data::Dataset set =
          random_set(static_cast<std::uint64_t>(part), 19, 25, task, part % 2 == 1);
      expect_reference(network, set,
                       part < 4 ? reference::Form::kRecurrence : reference::Form::kConvolution);
    }
  });
}

TEST(Network, LogitsDependNeitherOnTheOtherSequencesNorOnTheBlocksNorOnThreads) {
  for (const Norm norm : {Norm::kBatch, Norm::kLayer}) {
    ModelOptions o = small_options();
    o.norm = norm;
    o.channels = 5;
    o.layers = 2;
    const TaskShape task{2, 4};
    Network network = random_network(o, task);
    const data::Dataset set = random_set(1, 40, 23, task, true);
    const std::vector<float> all = logits_of(network, batch_of(set));
    for (const int threads : {2, 4}) EXPECT_EQ(logits_of(network, batch_of(set), threads), all);
    for (const std::size_t block : {1u, 5u, 23u, 100u}) {
      EXPECT_EQ(logits_of(network, batch_of(set, block)), all) << "blocks of " << block;
    }
    for (const std::vector<std::uint32_t>& rows :
         {std::vector<std::uint32_t>{7}, {39, 0, 7}, data::shuffled(40, 1, 0)}) {
      const std::vector<float> some = logits_of(network, batch_of(set, rows));
      for (std::size_t i = 0; i < rows.size(); ++i) {
        for (std::size_t k = 0; k < 4; ++k) EXPECT_EQ(some[i * 4 + k], all[rows[i] * 4 + k]);
      }
    }
  }
}

// --- gradients -----------------------------------------------------------------------------------

TEST(NetworkGradients, EqualDifferencesOfTheLossInEveryCombination) {
  ThreadPool pool(1);
  for_each_kind([&](ModelOptions o, int number) {
    vary_recurrence(o, number % 4 != 3, number % 2 == 1);
    o.pooling = number / 2 % 2 == 0 ? Pooling::kMean : Pooling::kLast;
    o.layers = 2;
    o.train_b = number % 3 != 1;
    o.dropout = number % 5 == 0 ? 0 : 0.2;
    const TaskShape task{1 + number % 3, 4};
    SCOPED_TRACE(describe(o));
    Network network = random_network(o, task, static_cast<std::uint64_t>(number) + 1);
    const data::Dataset set =
        random_set(static_cast<std::uint64_t>(number), 35, 15, task, number % 2 == 0);
    GradientCheck check;
    if (o.norm == Norm::kBatch) check.zero = {"linear.bias"};  // removed by the mean of the batch
    check.run(std::move(network), batch_of(set),
              {number % 3 == 0 ? 0.1 : 0.0, 3, static_cast<std::uint64_t>(number)}, pool);
  });
}

TEST(NetworkGradients, HaveTheSameBitsForAnyNumberOfThreads) {
  for (const Norm norm : {Norm::kBatch, Norm::kNone}) {
    ModelOptions o = small_options();
    o.norm = norm;
    o.layers = 2;
    o.dropout = 0.3;
    const TaskShape task{2, 4};
    const Network network = random_network(o, task);
    const data::Batch batch = batch_of(random_set(1, 70, 23, task, true));
    const auto one = gradients_of(network, batch, {0.1, 5, 6}, 1);
    EXPECT_EQ(gradients_of(network, batch, {0.1, 5, 6}, 2), one);
    EXPECT_EQ(gradients_of(network, batch, {0.1, 5, 6}, 4), one);
  }
}

TEST(NetworkGradients, DependOnTheStepOnlyThroughDropout) {
  ModelOptions o = small_options();
  const TaskShape task{2, 4};
  const data::Batch batch = batch_of(random_set(1, 19, 23, task));
  Network network = random_network(o, task);
  EXPECT_EQ(gradients_of(network, batch, {0, 1, 1}), gradients_of(network, batch, {0, 1, 2}));
  o.dropout = 0.5;
  network = random_network(o, task);
  EXPECT_EQ(gradients_of(network, batch, {0, 1, 1}), gradients_of(network, batch, {0, 1, 1}));
  EXPECT_NE(gradients_of(network, batch, {0, 1, 1}), gradients_of(network, batch, {0, 1, 2}));
  EXPECT_NE(gradients_of(network, batch, {0, 1, 1}), gradients_of(network, batch, {0, 2, 1}));
}

TEST(NetworkGradients, OwnNothingToTheNetworkTrainedBefore) {
  ModelOptions o = small_options();
  const TaskShape task{2, 4};
  const Network network = random_network(o, task);
  const data::Batch batch = batch_of(random_set(1, 19, 23, task));
  std::vector<std::vector<double>> fresh;
  std::thread([&] { fresh = gradients_of(network, batch, {}); }).join();
  o.dropout = 0.5;
  o.channels = 2;
  o.layers = 3;
  gradients_of(random_network(o, task), batch_of(random_set(2, 40, 30, task, true)), {});
  EXPECT_EQ(gradients_of(network, batch, {}), fresh);
}

TEST(Network, TrainingMovesTheRunningStatisticsTowardsTheBatch) {
  ModelOptions o = small_options();
  const TaskShape task{1, 3};
  Network network(o, task, 1);
  const data::Dataset set = random_set(1, 40, 23, task, true);
  const data::Batch batch = batch_of(set);
  ThreadPool pool(1);
  const double training = network.train_step(batch, {}, pool).loss;
  for (int i = 0; i < 300; ++i) network.train_step(batch, {}, pool);
  // The running statistics converge to those of the batch, so both passes give the same loss.
  EXPECT_NEAR(network.evaluate(batch, pool).loss, training, 1e-5);
}

TEST(Network, LearnsSixteenRandomSequencesByHeart) {
  for (const Norm norm : {Norm::kBatch, Norm::kLayer, Norm::kNone}) {
    ModelOptions o = small_options();
    o.norm = norm;
    o.channels = 12;
    o.layers = 2;
    const TaskShape task{2, 4};
    Network network(o, task, 1);
    const data::Batch batch = batch_of(random_set(1, 16, 20, task));
    ThreadPool pool(1);
    double accuracy = 0;
    for (std::uint64_t step = 0; step < 1000 && accuracy < 1; ++step) {
      accuracy =
          task::primary_value(batch.readout, network.train_step(batch, {0, 1, step}, pool).sums);
      for (Parameter& p : network.parameters()) {
        const double rate = p.group == ParameterGroup::kRecurrence ? 0.02 : 0.2;
        for (std::size_t i = 0; i < p.value.size(); ++i) {
          p.value[i] -= static_cast<float>(rate * p.gradient[i]);
        }
      }
    }
    EXPECT_EQ(accuracy, 1) << name_of(norm);
  }
}

// --- folding -------------------------------------------------------------------------------------

TEST(Network, FoldingNormsKeepsTheLogits) {
  for (const Gate gate : {Gate::kSigmoid, Gate::kNone}) {
    ModelOptions o = small_options();
    o.gate = gate;
    o.channels = 7;
    o.layers = 3;
    const TaskShape task{2, 4};
    Network network = random_network(o, task);
    const data::Batch batch = batch_of(random_set(1, 19, 23, task, true));
    const std::vector<float> before = logits_of(network, batch);
    const std::size_t count = network.parameter_count();
    network.fold_norms();
    EXPECT_EQ(network.options().norm, Norm::kNone);
    const std::size_t outputs = o.gate == Gate::kNone ? 7 : 14;
    EXPECT_EQ(network.parameter_count(), count - 3 * 2 * outputs);
    const std::vector<float> after = logits_of(network, batch);
    ASSERT_EQ(after.size(), before.size());
    for (std::size_t i = 0; i < after.size(); ++i) EXPECT_NEAR(after[i], before[i], 2e-5);
    network.fold_norms();  // nothing left to fold
    EXPECT_EQ(logits_of(network, batch), after);
  }
}

TEST(Network, RefusesToFoldLayerNorms) {
  ModelOptions o = small_options();
  o.norm = Norm::kLayer;
  Network network(o, {1, 3}, 1);
  EXPECT_THAT([&] { network.fold_norms(); },
              ThrowsMessage<Error>(AllOf(HasSubstr("model.norm"), HasSubstr("'layer'"))));
}

// --- storing -------------------------------------------------------------------------------------

TEST(Network, ComesBackFromTensorsWithTheSameBits) {
  for (const Norm norm : {Norm::kBatch, Norm::kLayer, Norm::kNone}) {
    ModelOptions o = small_options();
    o.norm = norm;
    o.layers = 2;
    o.train_b = true;
    const TaskShape task{2, 4};
    Network network = random_network(o, task);
    const data::Batch batch = batch_of(random_set(1, 19, 23, task, true));
    const std::string bytes = formats::format_safetensors(network.to_tensors());
    Network back = Network::from_tensors(formats::parse_safetensors(bytes, "memory"), "memory");
    EXPECT_EQ(logits_of(back, batch), logits_of(network, batch));
    EXPECT_EQ(gradients_of(back, batch, {}), gradients_of(network, batch, {}));
    EXPECT_EQ(formats::format_safetensors(back.to_tensors()), bytes);
    EXPECT_EQ(back.parameter_count(), network.parameter_count());
  }
}

// Every value allowed in [model] gives a network that differs from the others.
TEST(Network, ComputesSomethingElseForEveryNameThatIsAllowed) {
  ModelOptions options;
  FieldList list;
  fields(list, options);
  data::Dataset set;
  set.name = "waves";
  set.count = 3;
  set.length = 40;
  for (int i = 0; i < 120; ++i) set.values.push_back(std::sin(0.3f * static_cast<float>(i)) * 2);
  const std::vector<std::uint32_t> order{0, 1, 2};
  ThreadPool pool(1);
  std::size_t names = 0;
  for (const Field& field : list.all()) {
    std::set<std::vector<float>> seen;
    for (const std::string& name : field.choices) {
      options = small_options();
      list.set(field.key + '=' + name);
      if (options.modes == ModeKind::kReal || options.init == PoleStart::kReal) {
        options.modes = ModeKind::kReal;
        options.init = PoleStart::kReal;
      }
      data::Batch batch;
      data::fill_batch(set, order, 8, batch);
      std::vector<float> logits;
      Network(options, {1, 2}, 1).evaluate(batch, pool, &logits);
      EXPECT_TRUE(seen.insert(logits).second) << field.key << ' ' << name;
      ++names;
    }
  }
  EXPECT_EQ(names, 22u);
}

// The file stores the poles: the long computation of those of LegS must not be repeated.
TEST(Network, LoadsWithoutAnInitialisation) {
  ModelOptions o = small_options();
  o.channels = 1;
  o.states = 4096;
  formats::Safetensors content = Network(o, {1, 2}, 1).to_tensors();
  auto json = parse_json(content.metadata.at("network"));
  json["model"]["init"] = "legs";
  content.metadata["network"] = exact_json_text(json);
  EXPECT_EQ(Network::from_tensors(content, "memory").options().init, PoleStart::kLegs);
}

void expect_refused(const formats::Safetensors& content, const std::string& first,
                    const std::string& second) {
  EXPECT_THAT(
      [&] { Network::from_tensors(content, "a.safetensors"); },
      ThrowsMessage<Error>(AllOf(HasSubstr("a.safetensors"), HasSubstr(first), HasSubstr(second))));
}

TEST(Network, NamesWhatIsDamagedInTensors) {
  const formats::Safetensors good = Network(small_options(), {2, 4}, 1).to_tensors();
  for (const auto& [name, tensor] : good.tensors) {
    formats::Safetensors bad = good;
    bad.tensors.erase(name);
    expect_refused(bad, "'" + name + "'", "missing");

    bad = good;
    bad.tensors.at(name).shape.push_back(1);
    expect_refused(bad, "'" + name + "'", "1]");

    bad = good;
    std::vector<float> values = tensor.floats(tensor.shape, name);
    values.back() = std::numeric_limits<float>::quiet_NaN();
    bad.tensors.at(name) = formats::Tensor::from(values, tensor.shape);
    expect_refused(bad, "'" + name + "'", "nan");
    values.back() = std::numeric_limits<float>::infinity();
    bad.tensors.at(name) = formats::Tensor::from(values, tensor.shape);
    expect_refused(bad, "'" + name + "'", "inf");
  }
  for (const auto& [key, text] : good.metadata) {
    formats::Safetensors bad = good;
    bad.metadata.erase(key);
    expect_refused(bad, "'" + key + "'", "metadata");
  }
  formats::Safetensors bad = good;
  bad.metadata["format"] = "crosstate network 1";
  expect_refused(bad, "'crosstate network 1'", "an older version of crosstate");
  bad.metadata["format"] = "crosstate network 3";
  expect_refused(bad, "'crosstate network 3'", "a newer version of crosstate");
  bad.metadata["format"] = "crosstate chip 1";
  expect_refused(bad, "'crosstate chip 1'", "expected 'crosstate network 2'");
  bad = good;
  bad.metadata["network"] = "{";
  expect_refused(bad, "'network'", "not a JSON object");
  bad = good;
  bad.metadata["quantized"] = "maybe";
  expect_refused(bad, "'quantized'", "maybe");

  const auto edit = [&](const char* section, const char* key, const nlohmann::json& value) {
    formats::Safetensors edited = good;
    auto json = parse_json(good.metadata.at("network"));
    json[section][key] = value;
    edited.metadata["network"] = exact_json_text(json);
    return edited;
  };
  expect_refused(edit("model", "chanels", 3), "model.chanels", "");
  expect_refused(edit("task", "classes", 0), "task.classes", "0");
  expect_refused(edit("model", "channels", -1), "model.channels", "-1");
  expect_refused(edit("model", "channels", 4), "tensor '", "4");
  expect_refused(edit("model", "layers", 2), "'layers.1.", "missing");
  // Rejected before tens of gigabytes are allocated.
  formats::Safetensors claims = edit("model", "channels", 4096);
  claims.metadata["network"].replace(claims.metadata["network"].find("\"layers\":1"), 10,
                                     "\"layers\":64");
  expect_refused(claims, "64 layers", "4096 channels");
}

}  // namespace
}  // namespace crosstate::model
