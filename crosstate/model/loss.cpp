#include "crosstate/model/loss.h"

#include <algorithm>
#include <cmath>

namespace crosstate {
namespace {

// log sum exp(z / T).
double log_total(std::span<const float> logits, double temperature) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  for (const float z : logits) total += std::exp((z - top) / temperature);
  return std::log(total) + top / temperature;
}

// w T^2 KL; its gradient, w T (student - teacher), is added to the slope.
double distillation(std::span<const float> logits, std::span<const float> teacher,
                    const LossOptions& options, std::span<double> slope) {
  const double t = options.temperature;
  const double student_total = log_total(logits, t), teacher_total = log_total(teacher, t);
  double divergence = 0;
  for (std::size_t k = 0; k < logits.size(); ++k) {
    const double log_student = logits[k] / t - student_total;
    const double log_teacher = teacher[k] / t - teacher_total;
    const double wanted = std::exp(log_teacher);
    divergence += wanted * (log_teacher - log_student);
    if (!slope.empty()) slope[k] += options.distillation * t * (std::exp(log_student) - wanted);
  }
  return options.distillation * t * t * divergence;
}

}  // namespace

double classification_loss(std::span<const float> logits, std::size_t label,
                           const LossOptions& options, std::span<const float> teacher,
                           std::span<double> slope) {
  const double total = log_total(logits, 1);
  const double off = options.label_smoothing / static_cast<double>(logits.size());
  const double share = teacher.empty() ? 1 : 1 - options.distillation;
  double entropy = 0;
  for (std::size_t k = 0; k < logits.size(); ++k) {
    const double target = off + (k == label ? 1 - options.label_smoothing : 0);
    entropy -= target * (logits[k] - total);
    if (!slope.empty()) slope[k] = share * (std::exp(logits[k] - total) - target);
  }
  if (teacher.empty()) return entropy;
  return share * entropy + distillation(logits, teacher, options, slope);
}

}  // namespace crosstate
