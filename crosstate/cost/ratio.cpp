// Range of the ratio of two costs under common constants.
#include <algorithm>
#include <map>

#include "crosstate/cost/energy.h"

namespace crosstate::cost {
namespace {

// Counts of `each` in numerator and denominator.
struct Shared {
  Range each;
  double numerator = 0, denominator = 0;
};

std::vector<Shared> shared_constants(const CostList& numerator, const CostList& denominator,
                                     double steps_numerator, double steps_denominator) {
  std::map<std::string, Shared> by_name;
  for (const CostTerm& t : numerator.terms) {
    Shared& s = by_name[t.what];
    s.each = t.each;
    s.numerator += steps_numerator * t.per_step + t.at_end;
  }
  for (const CostTerm& t : denominator.terms) {
    Shared& s = by_name[t.what];
    s.each = t.each;
    s.denominator += steps_denominator * t.per_step + t.at_end;
  }
  std::vector<Shared> all;
  for (const auto& [name, s] : by_name) all.push_back(s);
  return all;
}

// The largest sum(n x) / sum(d x) over low <= x <= high. It is attained at a corner that has the
// high end of every constant whose n / d exceeds a threshold (the ratio itself), and the low end of
// all others. So only the corners in the order of n / d need to be tried.
double largest_ratio(std::vector<Shared> constants) {
  std::sort(constants.begin(), constants.end(), [](const Shared& a, const Shared& b) {
    return a.numerator * b.denominator > b.numerator * a.denominator;
  });
  double n = 0, d = 0;
  for (const Shared& s : constants) {
    n += s.numerator * s.each.low;
    d += s.denominator * s.each.low;
  }
  double best = d > 0 ? n / d : 0;
  for (const Shared& s : constants) {
    n += s.numerator * (s.each.high - s.each.low);
    d += s.denominator * (s.each.high - s.each.low);
    if (d > 0) best = std::max(best, n / d);
  }
  return best;
}

Range ratio_of_totals(const Range& n, const Range& d) {
  return {d.high > 0 ? n.low / d.high : 0, d.typical > 0 ? n.typical / d.typical : 0,
          d.low > 0 ? n.high / d.low : 0};
}

}  // namespace

Range ratio(const CostList& numerator, const CostList& denominator, double steps_numerator,
            double steps_denominator, bool same_target) {
  if (!same_target) {
    return ratio_of_totals(numerator.total(steps_numerator), denominator.total(steps_denominator));
  }
  std::vector<Shared> constants =
      shared_constants(numerator, denominator, steps_numerator, steps_denominator);
  Range n, d;
  for (const Shared& s : constants) {
    n += s.each * s.numerator;
    d += s.each * s.denominator;
  }
  Range r = ratio_of_totals(n, d);
  r.high = largest_ratio(constants);
  for (Shared& s : constants) std::swap(s.numerator, s.denominator);
  const double inverse = largest_ratio(constants);
  r.low = inverse > 0 ? 1 / inverse : 0;
  return r;
}

}  // namespace crosstate::cost
