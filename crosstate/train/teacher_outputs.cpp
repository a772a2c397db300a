#include "crosstate/train/teacher_outputs.h"

#include <algorithm>

namespace crosstate::train {
namespace {

// Outputs of sequence i without padding, and with it.
std::size_t reads(const data::Batch& batch, std::size_t i, task::Scope scope) {
  return scope == task::Scope::kSequence ? 1 : batch.lengths[i];
}
std::size_t padded_reads(const data::Batch& batch, task::Scope scope) {
  return scope == task::Scope::kSequence ? 1 : batch.length;
}

}  // namespace

TeacherOutputs::TeacherOutputs(const Teacher& teacher, std::size_t sets, std::size_t sequences)
    : teacher_(teacher), sequences_(sequences), known_(sets * sequences) {
  width_ = static_cast<std::size_t>(teacher.networks.front()->task().outputs);
}

std::span<const float> TeacherOutputs::of(const data::Batch& batch,
                                          std::span<const std::uint32_t> rows, std::size_t set,
                                          ThreadPool& pool) {
  if (known_.empty()) {
    compute(batch, pool);
    return outputs_;
  }
  const std::span known = std::span(known_).subspan(set * sequences_, sequences_);
  const bool all =
      std::all_of(rows.begin(), rows.end(), [&](std::uint32_t row) { return !known[row].empty(); });
  if (all) {
    recall(batch, known, rows);
  } else {
    compute(batch, pool);
    remember(batch, known, rows);
  }
  return outputs_;
}

void TeacherOutputs::compute(const data::Batch& batch, ThreadPool& pool) {
  const std::vector<const model::Network*>& networks = teacher_.networks;
  networks.front()->evaluate(batch, pool, &outputs_);
  if (networks.size() == 1) return;
  for (std::size_t i = 1; i < networks.size(); ++i) {
    networks[i]->evaluate(batch, pool, &one_);
    for (std::size_t j = 0; j < one_.size(); ++j) outputs_[j] += one_[j];
  }
  const float share = 1 / static_cast<float>(networks.size());
  for (float& output : outputs_) output *= share;
}

void TeacherOutputs::remember(const data::Batch& batch, std::span<std::vector<float>> known,
                              std::span<const std::uint32_t> rows) {
  const task::Scope scope = teacher_.networks.front()->options().readout;
  const std::size_t stride = padded_reads(batch, scope) * width_;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::vector<float>& row = known[rows[i]];
    const std::size_t size = reads(batch, i, scope) * width_;
    if (!row.empty() || bytes_ + size * sizeof(float) > kMostBytes) continue;
    const auto begin = outputs_.begin() + static_cast<std::ptrdiff_t>(i * stride);
    row.assign(begin, begin + static_cast<std::ptrdiff_t>(size));
    bytes_ += size * sizeof(float);
  }
}

void TeacherOutputs::recall(const data::Batch& batch, std::span<const std::vector<float>> known,
                            std::span<const std::uint32_t> rows) {
  const std::size_t stride =
      padded_reads(batch, teacher_.networks.front()->options().readout) * width_;
  outputs_.assign(rows.size() * stride, 0.0f);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::copy(known[rows[i]].begin(), known[rows[i]].end(),
              outputs_.begin() + static_cast<std::ptrdiff_t>(i * stride));
  }
}

}  // namespace crosstate::train
