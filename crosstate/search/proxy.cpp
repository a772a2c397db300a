#include "crosstate/search/proxy.h"

#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/cost/memory.h"
#include "crosstate/train/evaluate.h"

namespace crosstate::search {
namespace {

using nlohmann::json;

constexpr int kBatch = 256;

}  // namespace

struct Proxy::Material {
  std::vector<model::Network> networks;
  data::Dataset validation;
  std::vector<data::Batch> calibration;
};

json to_json(const ProxyMeasures& measures) {
  return {{"loss", measures.loss}, {"metric", measures.metric}, {"bytes", measures.bytes}};
}

ProxyMeasures proxy_measures_from(const json& from) {
  const auto number = [&](const char* key) {
    if (!from.is_object() || !from.contains(key) || !from.at(key).is_number()) {
      fail("proxy", "expected numbers loss, metric and bytes, found " + excerpt(json_text(from)));
    }
    return from.at(key).get<double>();
  };
  return {number("loss"), number("metric"), number("bytes")};
}

Proxy::Proxy(pipeline::RunOptions options, std::vector<std::filesystem::path> references,
             std::size_t sequences, int threads)
    : options_(std::move(options)),
      references_(std::move(references)),
      sequences_(sequences),
      threads_(threads) {}

const Proxy::Material& Proxy::material() {
  const std::lock_guard lock(mutex_);
  if (material_) return *material_;
  std::vector<model::Network> networks;
  for (const std::filesystem::path& reference : references_) {
    const std::string file = reference.string();
    networks.push_back(model::Network::from_tensors(formats::read_safetensors(file), file));
  }
  ThreadPool pool(threads_);
  const pipeline::RunData data = pipeline::load_run_data(options_, pool);
  if (data.validation.count == 0) {
    fail("search", "no training sequences are held out; expected train.validation > 0");
  }
  material_ = std::make_shared<Material>(
      Material{std::move(networks), data::first(data.validation, sequences_),
               pipeline::calibration_batches(data.training, options_)});
  return *material_;
}

std::optional<ProxyMeasures> Proxy::measure(std::size_t size, const quant::QuantOptions& quant,
                                            const std::function<bool()>& stop) {
  const Material& given = material();
  ThreadPool pool(threads_);
  model::Network network = given.networks.at(size);
  network.requantize(quant::resolved(quant), given.calibration, pool);
  const std::optional<train::Tally> tally =
      train::evaluate_result(network, given.validation, kBatch, pool, stop);
  if (!tally) return std::nullopt;
  return ProxyMeasures{tally->loss(), tally->metric(),
                       static_cast<double>(cost::count_memory(network).total())};
}

}  // namespace crosstate::search
