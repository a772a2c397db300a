// crosstate/model: blocks as a function of their input and parameters, with its adjoint.
#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/data/batch.h"
#include "crosstate/model/group_forward.h"
#include "crosstate/model/network.h"
#include "crosstate/model/pass.h"
#include "crosstate/quant/options.h"
#include "python/bindings/panels.h"
#include "python/bindings/workers.h"

namespace crosstate::python {
namespace {

using model::GroupForward;
using model::GroupMemory;
using model::GroupPass;
using model::Network;

// A batch of which only the shape is used: the values are those of the block's input. Lanes beyond
// the batch hold zeros and run along.
data::Batch batch_of(const Signal& u, std::size_t block_length) {
  data::Batch batch;
  batch.count = u.shape(0);
  batch.channels = u.shape(1);
  batch.length = u.shape(2);
  batch.groups = groups_of(u);
  batch.block_length = block_length;
  batch.lengths.assign(batch.groups * kLanes, static_cast<std::uint32_t>(batch.length));
  return batch;
}

// Indices of the trained parameters of the block itself: not those of the encoder and the decoder.
std::vector<std::size_t> own(const Network::State& s) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < s.parameters.size(); ++i) {
    const bool ends =
        i == s.encoder || i == s.encoder_bias || i == s.decoder || i == s.decoder_bias;
    if (!ends && s.trains(i)) found.push_back(i);
  }
  return found;
}

/// Memory of passes that have ended: allocating and touching new pages would cost as much as a
/// layer.
class Spare {
 public:
  std::vector<GroupMemory> take() {
    const std::lock_guard lock(mutex_);
    if (all_.empty()) return {};
    std::vector<GroupMemory> memory = std::move(all_.back());
    all_.pop_back();
    return memory;
  }
  void give(std::vector<GroupMemory> memory) {
    constexpr std::size_t kMost = 2;
    const std::lock_guard lock(mutex_);
    if (all_.size() < kMost) all_.push_back(std::move(memory));
  }

 private:
  std::mutex mutex_;
  std::vector<std::vector<GroupMemory>> all_;
};

/// What a thread needs for the groups that it computes, kept between calls like Spare.
struct Work {
  model::Scratch scratch;
  AlignedFloats gradient;
};
Work& work() {
  thread_local Work of_thread;
  return of_thread;
}

/// One forward pass of a block, with what its adjoint needs.
struct BlockPass {
  BlockPass(const Network& network, std::shared_ptr<Spare> from, const Signal& u,
            const model::LossOptions& draws, bool training, bool keep)
      : state(network.state()),
        batch(batch_of(u, static_cast<std::size_t>(state.options.block_length))) {
    const model::TrainingStep step{draws.seed, draws.step};
    // The tables of deployed coefficients have no adjoint.
    coefficients = training ? state.coefficients(&step)
                   : keep   ? state.coefficients()
                            : state.deployed_coefficients();
    spare = std::move(from);
    memory = spare->take();
    memory.resize(batch.groups);
  }
  ~BlockPass() { spare->give(std::move(memory)); }
  BlockPass(const BlockPass&) = delete;
  BlockPass& operator=(const BlockPass&) = delete;

  Network::State state;
  data::Batch batch;
  model::Coefficients coefficients;
  std::vector<GroupMemory> memory;
  std::shared_ptr<Spare> spare;
};

/// A network of one block, whose encoder is the identity and whose decoder is not used.
class Block {
 public:
  Block(const Settings& settings, std::uint64_t seed) {
    FieldList list;
    model::fields(list, shape_);
    quant::fields(list, quant_);
    // The values at the ends of the block belong to its neighbours.
    for (const char* site : {"input", "encoder", "decoder"}) {
      list.set(std::string("quant.") + site + ".bits=0");
    }
    apply(list, settings, {}, "crosstate.torch.S4DBlock");
    shape_.layers = 1;
    model::validate(shape_);
    quant::validate(quant_);
    if (shape_.norm == model::Norm::kBatch) {
      throw Error(
          "model.norm = \"batch\", expected \"layer\" or \"none\": a block by itself does "
          "not see the statistics of a batch");
    }
    network_ = std::make_unique<Network>(shape_, task(), seed);
    const auto channels = static_cast<std::size_t>(shape_.channels);
    for (model::Parameter& p : network_->parameters()) {
      if (p.name == "encoder.weight") {
        for (std::size_t i = 0; i < p.value.size(); ++i) p.value[i] = i % (channels + 1) == 0;
      }
      if (p.name == "encoder.bias") std::fill(p.value.begin(), p.value.end(), 0.0f);
    }
  }

  /// Chooses every range for this input and switches quantization on.
  void calibrate(const Signal& u, int threads) {
    read_parameters();
    data::Batch batch = batch_of(u, static_cast<std::size_t>(shape_.block_length));
    batch.values.assign(batch.groups * batch.group_size(), 0);
    for (std::size_t g = 0; g < batch.groups; ++g) {
      for_blocks(batch, [&](std::size_t start, std::size_t steps) {
        pack(u, g, 0, batch.channels, start, steps,
             batch.values.data() + g * batch.group_size() + start * batch.channels * kLanes);
      });
    }
    const nb::gil_scoped_release release;
    with_pool(threads, [&](ThreadPool& pool) {
      // Ranges are chosen from values without rounding.
      auto exact = std::make_unique<Network>(shape_, task(), 0);
      for (model::Parameter& p : exact->parameters()) {
        for (const model::Parameter& now : network_->parameters()) {
          if (now.name == p.name) p.value = now.value;
        }
      }
      const std::vector<data::Batch> batches{std::move(batch)};
      exact->quantize(quant_, batches, pool);
      network_ = std::move(exact);
    });
  }

  /// Names, shapes and values of the parameters of the block.
  using Values = nb::typed<nb::tuple, nb::str, nb::typed<nb::list, nb::int_>, Out<float>>;
  nb::typed<nb::list, Values> parameters() const {
    nb::typed<nb::list, Values> all;
    for (const std::size_t i : own(network_->state())) {
      const model::Parameter& p = network_->parameters()[i];
      std::vector<std::size_t> shape(p.shape.begin(), p.shape.end());
      std::vector<float> values = p.value;
      const std::size_t size = values.size();
      all.append(nb::make_tuple(p.name, nb::cast(shape), to_numpy(std::move(values), {size})));
    }
    return all;
  }
  /// Arrays with the parameters, in the order of parameters(). They are read at every forward().
  void bind(std::vector<In<float>> arrays) {
    const std::vector<std::size_t> all = own(network_->state());
    if (arrays.size() != all.size()) throw Error("block: another number of parameters");
    for (std::size_t i = 0; i < all.size(); ++i) {
      const model::Parameter& p = network_->parameters()[all[i]];
      if (arrays[i].size() != p.value.size()) {
        throw Error("block: " + p.name + " has another number of values");
      }
    }
    own_ = all;
    bound_ = std::move(arrays);
  }

  using Passes = std::vector<std::unique_ptr<BlockPass>>;

  /// Passes as an array, so that PyTorch keeps and frees them as it does its tensors.
  struct Kept {
    std::uint64_t self;  // its address: a copy of the array is of no use
    Passes passes;
  };
  using KeptArray = nb::ndarray<nb::numpy, std::uint8_t, nb::ndim<1>>;

  /// Runs consecutive blocks, of which the last one writes y or, with `mean`, its mean over time,
  /// [batch, channels, 1]. In training, every block draws from a seed of its own. Returns what
  /// adjoint() needs, if it is to be kept.
  static std::optional<KeptArray> forward(const std::vector<Block*>& blocks, const Signal& u,
                                          const SignalOut& y, bool mean, bool training, bool keep,
                                          const std::vector<std::uint64_t>& seeds, int threads) {
    for (Block* block : blocks) block->read_parameters();
    Passes runs = run(blocks, u, y, mean, training, keep, seeds, threads);
    if (!keep) return std::nullopt;
    auto* const kept = new Kept{0, std::move(runs)};
    kept->self = reinterpret_cast<std::uint64_t>(kept);
    const nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<Kept*>(p); });
    return KeptArray(&kept->self, {sizeof kept->self}, owner);
  }

  /// Writes gu, if it is wanted, and the gradients of the parameters of all blocks, in their order.
  static void adjoint(const In<std::uint8_t>& array, const Signal& gy,
                      const std::optional<SignalOut>& gu,
                      const nb::ndarray<float, nb::c_contig, nb::device::cpu>& gradients,
                      int threads) {
    std::uint64_t self = 0;
    if (array.size() == sizeof self) std::memcpy(&self, array.data(), sizeof self);
    if (self == 0 || self != reinterpret_cast<std::uint64_t>(array.data())) {
      throw Error(
          "what S4DBlock keeps for backward() was copied by hooks on saved tensors, expected hooks "
          "that return the tensor itself");
    }
    const Passes& runs = reinterpret_cast<const Kept*>(array.data())->passes;
    const nb::gil_scoped_release release;
    std::vector<GroupPass> passes;
    passes.reserve(runs.size());
    std::vector<std::vector<model::Gradients>> sums;
    const std::size_t H = runs[0]->batch.channels, groups = runs[0]->batch.groups;
    for (const std::unique_ptr<BlockPass>& run : runs) {
      passes.emplace_back(run->state, run->coefficients, run->batch);
      // Of an empty batch the gradients are 0.
      sums.emplace_back(std::max<std::size_t>(groups, 1), model::Gradients(run->state));
    }
    // The last groups are still in the cache.
    parallel_for(threads, groups, [&](std::size_t item) {
      const std::size_t g = groups - 1 - item;
      AlignedFloats& gh = work().gradient;
      const bool passing = runs.size() == 1;
      gh.resize((passing ? runs[0]->batch.block_length : runs[0]->batch.length) * kLanes * H);
      const auto at = [&](const model::TimeBlock& b) {
        return passing ? gh.data() : b.rows(gh.data(), H).data;
      };
      for (std::size_t k = runs.size(); k-- > 0;) {
        const bool reads = k + 1 == runs.size(), writes = k == 0 && gu.has_value();
        model::AroundBlocks around;
        around.passing = passing;
        around.before = [&](const model::TimeBlock& b) {
          if (reads) pack(gy, g, 0, H, b.start, b.steps, at(b));
        };
        around.after = [&](const model::TimeBlock& b) {
          if (writes) unpack(at(b), g, 0, H, b.start, b.steps, *gu);
        };
        passes[k].layer_adjoint(0, runs[k]->memory[g], gh, work().scratch, {}, sums[k][g], around);
      }
    });
    float* to = gradients.data();
    const float* const end = to + gradients.size();
    for (std::size_t k = 0; k < runs.size(); ++k) {
      Network::State& state = runs[k]->state;
      for (std::size_t g = 1; g < groups; ++g) sums[k][0] += sums[k][g];
      for (model::Parameter& p : state.parameters) {
        std::fill(p.gradient.begin(), p.gradient.end(), 0.0);
      }
      model::backpropagate(sums[k][0], 1, runs[k]->coefficients, state);
      for (const std::size_t i : own(state)) {
        const std::vector<double>& gradient = state.parameters[i].gradient;
        if (static_cast<std::size_t>(end - to) < gradient.size()) {
          throw Error("block: another number of gradients");
        }
        to = std::transform(gradient.begin(), gradient.end(), to,
                            [](double x) { return static_cast<float>(x); });
      }
    }
  }

  nb::bytes to_bytes() const {
    const std::string content = formats::format_safetensors(network_->to_tensors());
    return nb::bytes(content.data(), content.size());
  }
  void from_bytes(const nb::bytes& bytes) {
    const std::string content(bytes.c_str(), bytes.size());
    Network loaded =
        Network::from_tensors(formats::parse_safetensors(content, "the block"), "the block");
    if (loaded.options().channels != shape_.channels || loaded.options().states != shape_.states) {
      throw Error("the block: another number of channels or states");
    }
    *network_ = std::move(loaded);
    own_.clear();
    bound_.clear();
  }
  bool quantized() const { return network_->quantized(); }
  bool draws() const { return network_->state().draws(); }
  std::string options() const {
    model::ModelOptions options = network_->options();
    FieldList list;
    model::fields(list, options);
    return json_text(list.to_json().at("model"));
  }

 private:
  model::TaskShape task() const { return {shape_.channels, 1}; }

  static Passes run(const std::vector<Block*>& blocks, const Signal& u, const SignalOut& y,
                    bool mean, bool training, bool keep, const std::vector<std::uint64_t>& seeds,
                    int threads) {
    const nb::gil_scoped_release release;
    Passes runs;
    std::vector<GroupPass> passes;
    passes.reserve(blocks.size());
    std::vector<model::LossOptions> draws(blocks.size());
    for (std::size_t k = 0; k < blocks.size(); ++k) {
      draws[k].seed = seeds.at(k);
      runs.push_back(std::make_unique<BlockPass>(*blocks[k]->network_, blocks[k]->spare_, u,
                                                 draws[k], training, keep));
      BlockPass& run = *runs.back();
      // Panels go from block to block as they are.
      if (run.batch.block_length != runs[0]->batch.block_length) {
        throw Error("blocks of different model.block_length, expected equal ones");
      }
      if (run.state.channels() != u.shape(1)) throw Error("blocks of different d_model");
      passes.emplace_back(run.state, run.coefficients, run.batch);
    }
    const std::size_t H = u.shape(1), last = blocks.size() - 1;
    parallel_for(threads, runs[0]->batch.groups, [&](std::size_t g) {
      AlignedFloats sums(mean ? H * kLanes : 0, 0);
      for (std::size_t k = 0; k <= last; ++k) {
        const GroupPass& pass = passes[k];
        GroupMemory& m = runs[k]->memory[g];
        m.passing_output = k == last;
        pass.prepare(m, g, keep ? model::Keep::kAdjoint : model::Keep::kStreams);
        // No block needs its own output again.
        if (k > 0) std::swap(m.h[0], runs[k - 1]->memory[g].h[1]);
        if (training) {
          GroupPass::draw_seeds(m, g, draws[k]);
          pass.draw_dropout(m, g, draws[k]);
        }
        GroupForward forward(pass, m, work().scratch);
        for (const model::TimeBlock& b : pass.blocks()) {
          if (k == 0) pack(u, g, 0, H, b.start, b.steps, b.rows(m.h[0].data(), H).data);
          forward.at(b);
          model::walk_block(forward, 0);
          if (k < last) continue;
          const kernels::Rows out{m.h[1].data(), b.columns()};
          if (mean) {
            add_steps(out, b.steps, H, sums);
          } else {
            unpack(out.data, g, 0, H, b.start, b.steps, y);
          }
        }
      }
      if (!mean) return;
      for (float& sum : sums) sum /= static_cast<float>(u.shape(2));
      unpack(sums.data(), g, 0, H, 0, 1, y);
    });
    return runs;
  }

  void read_parameters() {
    for (std::size_t i = 0; i < own_.size(); ++i) {
      std::vector<float>& value = network_->parameters()[own_[i]].value;
      std::copy_n(bound_[i].data(), value.size(), value.begin());
    }
  }

  // Adds the sums over the steps of a panel to `sums`, [rows][lanes].
  static void add_steps(kernels::ConstRows panel, std::size_t steps, std::size_t rows,
                        AlignedFloats& sums) {
    for (std::size_t r = 0; r < rows; ++r) {
      std::array<float, kLanes> sum{};
      for (std::size_t t = 0; t < steps; ++t) {
        for (std::size_t i = 0; i < kLanes; ++i) sum[i] += panel.row(r)[t * kLanes + i];
      }
      for (std::size_t i = 0; i < kLanes; ++i) sums[r * kLanes + i] += sum[i];
    }
  }

  template <class Body>
  static void for_blocks(const data::Batch& batch, const Body& body) {
    for (std::size_t t = 0; t < batch.length; t += batch.block_length) {
      body(t, std::min(batch.block_length, batch.length - t));
    }
  }

  model::ModelOptions shape_;
  quant::QuantOptions quant_;
  std::unique_ptr<Network> network_;
  std::shared_ptr<Spare> spare_ = std::make_shared<Spare>();
  std::vector<std::size_t> own_;  // of the bound parameters
  std::vector<In<float>> bound_;
};

// A network with its first parameters, as training starts with them.
nb::bytes first_network(const Settings& settings, int inputs, int outputs, std::uint64_t seed) {
  model::ModelOptions options;
  FieldList list;
  model::fields(list, options);
  apply(list, settings, {}, "crosstate.torch.to_torch");
  model::validate(options);
  const Network network(options, {inputs, outputs}, seed);
  const std::string content = formats::format_safetensors(network.to_tensors());
  return nb::bytes(content.data(), content.size());
}

}  // namespace

void bind_block(nb::module_& m) {
  // A graph of PyTorch that is alive at exit still holds a pass.
  nb::set_leak_warnings(false);
  m.def("first_network", &first_network, "settings"_a, "inputs"_a, "outputs"_a, "seed"_a);
  nb::class_<Block>(m, "Block")
      .def(nb::init<const Settings&, std::uint64_t>(), "settings"_a, "seed"_a)
      .def("calibrate", &Block::calibrate, "u"_a, "threads"_a)
      .def("parameters", &Block::parameters)
      .def("bind", &Block::bind, "arrays"_a)
      .def_static(
          "forward", &Block::forward, "blocks"_a, "u"_a, "y"_a, "mean"_a, "training"_a, "keep"_a,
          "seeds"_a, "threads"_a,
          "Writes y, or its mean over time, and returns what adjoint() needs, if it is to be "
          "kept.")
      .def_static("adjoint", &Block::adjoint, "kept"_a, "gy"_a, "gu"_a.none(), "gradients"_a,
                  "threads"_a)
      .def("to_bytes", &Block::to_bytes)
      .def("from_bytes", &Block::from_bytes, "bytes"_a)
      .def("options", &Block::options)
      .def_prop_ro("draws", &Block::draws, "Whether training draws random numbers.")
      .def_prop_ro("quantized", &Block::quantized);
}

}  // namespace crosstate::python
