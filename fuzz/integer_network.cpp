// Integer networks, including some steps of every executor.
#include <algorithm>
#include <vector>

#include "crosstate/cost/memory.h"
#include "crosstate/integer/certificate.h"
#include "crosstate/integer/engine.h"
#include "fuzz/target.h"

namespace {

using namespace crosstate;

integer::IntegerNetwork network_of(const std::string& bytes) {
  return integer::integer_network_from(formats::parse_safetensors(bytes, "fuzz.safetensors"),
                                       "fuzz.safetensors");
}

}  // namespace

void crosstate::fuzz::read(const std::string& bytes) {
  const integer::IntegerNetwork network = network_of(bytes);
  const std::string written = formats::format_safetensors(integer::to_tensors(network));
  require(formats::format_safetensors(integer::to_tensors(network_of(written))) == written,
          "a network that reads back");
  const integer::Certificate certificate = integer::certify(network);
  require(certificate.fits_int64 && certificate.longest_sequence > 0,
          "a network whose numbers fit 64 bits");
  cost::count_memory(network);
  integer::ReferenceExecutor executor(network);
  integer::IntegerStream stream(network);
  const std::int64_t steps = std::min<std::int64_t>(5, certificate.longest_sequence);
  for (std::int64_t t = 0; t < steps; ++t) {
    // Both ends of the range of input codes, where sums are largest.
    const std::vector<std::int32_t> codes(
        network.inputs, t % 2 == 0 ? network.input.quant_max : network.input.quant_min);
    executor.step(codes);
    stream.step_codes(codes);
    const integer::IntegerResult wanted = executor.result(), got = stream.result();
    require(got.scores == wanted.scores && got.shift == wanted.shift,
            "the same scores of every executor");
    got.logits();
  }
}
