// Requantizers in generated C: expressions of codes, and the functions that they call.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "crosstate/exporter/c_tables.h"
#include "crosstate/exporter/requantizers.h"
#include "crosstate/integer/network.h"

namespace crosstate::exporter {

/// An expression of a sum, and whether its type is int32_t or smaller.
struct Sum {
  std::string text;
  bool narrow = true;
};

/// The constants of the requantizers of one site.
struct Codes {
  RequantizerPlan plan;
  Reference first, second, shift, early, low, high;

  /// Whether a second sum has an effect.
  bool uses_second() const { return plan.two && !(second.is_literal && second.text == "0"); }
};

/// "a * b", or "a" for b = 1.
std::string times(const std::string& a, const std::string& b);

class RequantizerWriter {
 public:
  using Bounds = std::function<SumBounds(std::size_t block, std::size_t row)>;

  /// Adds the tables of a site, whose codes have one format per block.
  Codes add(Tables& tables, const std::string& name, const std::vector<SiteRows>& rows,
            const Bounds& bounds, const std::vector<integer::CodeFormat>& to);
  /// The expression of the code of sums p and q of the row `index`.
  std::string code(const Codes& codes, const Sum& p, const Sum& q, const std::string& index) const;
  /// rounded(value, places).
  std::string rounded(const std::string& value, const std::string& places);

  /// Says that other code calls down32() or down64(), clamp64(), or code64().
  void use_down(bool narrow) { (narrow ? down_32_ : down_64_) = true; }
  void use_clamp64() { clamp_64_ = true; }
  void use_code64() { code_64_ = true; }

  /// Definitions of all functions that are called.
  std::string functions() const;

 private:
  bool down_32_ = false, down_64_ = false, clamp_64_ = false;
  bool code_32_ = false, code_64_ = false, rounded_ = false;
  std::set<int> scaled_;  // by how many places
};

}  // namespace crosstate::exporter
