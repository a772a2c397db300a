#include "crosstate/exporter/npz.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "crosstate/exporter/c_project.h"
#include "crosstate/exporter/golden.h"
#include "crosstate/formats/matrix.h"

namespace crosstate::exporter {
namespace {

std::vector<std::int64_t> wide(const auto& values) { return {values.begin(), values.end()}; }

std::vector<std::int64_t> integers_of(const formats::Tensor& tensor, const std::string& where) {
  if (tensor.dtype == "I16") return wide(tensor.integers<std::int16_t>(tensor.shape, where));
  if (tensor.dtype == "I32") return wide(tensor.integers<std::int32_t>(tensor.shape, where));
  return tensor.integers<std::int64_t>(tensor.shape, where);
}

}  // namespace

SourceFile npz_file(const inference::Model& model, const ExportOptions& options) {
  validate(options);
  const integer::IntegerNetwork network = exported_network(model);
  const formats::Safetensors content = integer::to_tensors(network);
  std::vector<formats::NpzArray> arrays;
  arrays.push_back(formats::NpzArray::text("format", content.metadata.at("integer")));
  for (const auto& [name, tensor] : content.tensors) {
    const std::vector<std::size_t> shape(tensor.shape.begin(), tensor.shape.end());
    arrays.push_back(formats::NpzArray::integers(name, shape, integers_of(tensor, name)));
  }
  const GoldenVectors golden = golden_vectors(network, options.sequences, options.steps);
  arrays.push_back(formats::NpzArray::integers(
      "golden.codes", {golden.sequences, golden.steps, network.inputs}, wide(golden.codes)));
  arrays.push_back(formats::NpzArray::integers(
      "golden.scores", {golden.sequences, golden.steps, network.outputs}, golden.scores));
  return {prefix_of(model, options) + ".npz", formats::format_npz_arrays(arrays)};
}

}  // namespace crosstate::exporter
