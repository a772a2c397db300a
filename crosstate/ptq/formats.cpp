#include "crosstate/ptq/formats.h"

#include <algorithm>
#include <utility>

namespace crosstate::ptq {
namespace {

using quant::QuantOptions;

constexpr int kLeastWeightBits = 2, kLeastActivationBits = 4, kLeastStateBits = 4;
constexpr int kLeastPoleBits = 6, kMostPoleBits = 14;  // Cartesian
constexpr int kLeastIncrementBits = 3, kMostIncrementBits = 8;
constexpr int kMostResidue = 8, kFirstResidue = 6;
constexpr int kLeastMargin = -6, kMostMargin = -2;  // of residues that follow from poles

std::string bits_text(int bits) { return std::to_string(bits) + " bits"; }

class Lister {
 public:
  Lister(const QuantOptions& options, bool fixed, int bits)
      : options_(options), resolved_(resolved_without_noise(options)), fixed_(fixed), bits_(bits) {}

  // Ladders of bits: with free scales and, where nobody has named a kind, with powers of two.
  void weights(const std::string& name, quant::WeightSite QuantOptions::*site, bool both_scales) {
    const quant::WeightSite& given = options_.*site;
    const bool named = fixed_ || given.bits != quant::kPresetBits;
    const int most = named ? (resolved_.*site).bits : bits_;
    const int least = named ? most : kLeastWeightBits;
    std::vector<quant::ScaleKind> kinds = {*(resolved_.*site).scales};
    if (both_scales && !given.scales && kinds[0] == quant::ScaleKind::kFree && most >= 2) {
      kinds.push_back(quant::ScaleKind::kPowerOfTwo);
    }
    for (std::size_t k = 0; k < kinds.size(); ++k) {
      for (int bits = most; bits >= least; --bits) {
        const std::string scales = k == 0 ? "" : ", scales " + name_of(kinds[k]);
        add(name, bits_text(bits) + scales, k, [=, kind = kinds[k]](QuantOptions& o) {
          (o.*site).bits = bits;
          (o.*site).scales = kind;
        });
      }
    }
  }

  // Parts of poles multiply as they are stored; codes of decay and phase are stored decoded.
  void poles() {
    const bool named = fixed_ || options_.a.bits != quant::kPresetBits;
    if (named) {
      const quant::PoleSite site = resolved_.a;
      return add("a", bits_text(site.bits) + ", " + name_of(site.coding), 0,
                 [site](QuantOptions& o) { o.a = site; });
    }
    using quant::PoleCoding;
    for (int bits = kMostPoleBits; bits >= kLeastPoleBits; --bits) {
      if (bits == 13 || bits == 11) continue;
      add("a", bits_text(bits) + ", cartesian", 0, [bits](QuantOptions& o) {
        o.a = {bits, PoleCoding::kCartesian};
      });
    }
    for (int bits = kMostIncrementBits; bits >= kLeastIncrementBits; --bits) {
      add("a", bits_text(bits) + ", increment", 1, [bits](QuantOptions& o) {
        o.a = {bits, PoleCoding::kIncrement};
      });
    }
  }

  void activations(const std::string& name, quant::ActivationSite QuantOptions::*site) {
    const bool named = fixed_ || (options_.*site).bits != quant::kPresetBits;
    const int most = named ? (resolved_.*site).bits : bits_;
    const int least = named ? most : kLeastActivationBits;
    for (int bits = most; bits >= least; --bits) {
      add(name, bits_text(bits), 0, [=](QuantOptions& o) { (o.*site).bits = bits; });
    }
  }

  void state() {
    const quant::StateSite& given = options_.state;
    const bool named = fixed_ || given.bits != quant::kPresetBits;
    const int most = named ? resolved_.state.bits : bits_;
    const int least = named ? most : kLeastStateBits;
    if (given.rounding != quant::StateRounding::kNearest || given.residue_bits > 0) {
      for (int bits = most; bits >= least; --bits) {
        add("state", bits_text(bits), 0, [=](QuantOptions& o) { o.state.bits = bits; });
      }
      return;
    }
    const int residue = kFirstResidue + (bits_ - 8);
    for (int bits = most; bits >= least; --bits) {
      const auto ladder = static_cast<std::size_t>(most - bits);
      for (int r = bits == most ? residue
                                : std::min(residue + most - bits, kMostResidue + bits_ - 8);
           r >= 0; --r) {
        add("state", bits_text(bits) + " + " + std::to_string(r), ladder, [=](QuantOptions& o) {
          o.state.bits = bits;
          o.state.residue_bits = r;
          o.state.residue = quant::ResidueRule::kUniform;
        });
      }
    }
    // Residues that follow from each pole are worth their table only where modes differ much.
    const auto ladder = static_cast<std::size_t>(most - least + 1);
    for (int margin = kMostMargin; margin >= kLeastMargin; --margin) {
      add("state", bits_text(most) + " + by pole, " + std::to_string(margin), ladder,
          [=](QuantOptions& o) {
            o.state.bits = most;
            o.state.residue_bits = kMostResidue + 2;
            o.state.residue = quant::ResidueRule::kByPole;
            o.state.residue_margin = margin;
          });
    }
  }

  std::vector<SiteChoices> take() { return std::move(sites_); }

 private:
  void add(const std::string& site, std::string text, std::size_t ladder,
           std::function<void(QuantOptions&)> apply) {
    if (sites_.empty() || sites_.back().site != site) sites_.push_back({site, {}});
    sites_.back().choices.push_back({std::move(text), std::move(apply), ladder});
  }

  const QuantOptions& options_;
  const QuantOptions resolved_;
  bool fixed_;
  int bits_;
  std::vector<SiteChoices> sites_;
};

}  // namespace

QuantOptions resolved_without_noise(QuantOptions options) {
  options.array.noise = options.array.state_noise = options.array.noise_floor = 0;
  QuantOptions format = quant::resolved(options);
  format.weight_noise = format.device_noise = 0;
  // All bits are explicit now, and the preset must not bring its noise back.
  if (quant::resolved(format).weight_noise > 0) format.preset = QuantOptions().preset;
  return format;
}

std::vector<SiteChoices> site_choices(const QuantOptions& options, bool fixed, bool gated,
                                      int bits) {
  Lister list(options, fixed, bits);
  list.weights("encoder", &QuantOptions::encoder, false);
  list.poles();
  list.weights("c", &QuantOptions::c, true);
  list.weights("d", &QuantOptions::d, false);
  list.weights("weight", &QuantOptions::weight, true);
  list.weights("decoder", &QuantOptions::decoder, true);
  list.state();
  list.activations("input", &QuantOptions::input);
  list.activations("residual", &QuantOptions::residual);
  list.activations("ssm_output", &QuantOptions::ssm_output);
  list.activations("activation", &QuantOptions::activation);
  if (gated) {
    list.activations("linear", &QuantOptions::linear);
    list.activations("gate", &QuantOptions::gate);
  }
  return list.take();
}

}  // namespace crosstate::ptq
