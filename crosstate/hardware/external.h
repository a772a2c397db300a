// A chip controlled by a separate program, the driver, which is started here and receives requests
// on its standard input (docs/external-chip.md).
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "crosstate/hardware/backend.h"
#include "crosstate/hardware/options.h"
#include "crosstate/hardware/protocol.h"

namespace crosstate::hardware {

/// A driver that exits, exceeds the time limit or violates the protocol is killed together with the
/// processes that it has started. The request then throws an Error that names the command, the
/// request and the reply; every further request throws the same Error. Requests are sent one at a
/// time.
class ExternalChip final : public Backend {
 public:
  /// Starts the driver and sends the greeting. Throws Error if it cannot be started or does not
  /// accept this number and size of arrays.
  ExternalChip(const ExternalOptions& options, std::size_t arrays, std::size_t rows,
               std::size_t bit_lines);
  /// Asks the driver to exit and waits as long as for a reply; then kills it.
  ~ExternalChip() override;
  ExternalChip(const ExternalChip&) = delete;
  ExternalChip& operator=(const ExternalChip&) = delete;

  void program(std::size_t array, std::span<const double> conductances) override;
  /// The driver may have to wait until that age is reached; external.timeout is added to this time.
  void age_to(double seconds) override;
  void multiply(std::size_t array, BitLines lines, std::size_t count,
                std::span<const double> voltages, std::span<double> currents) override;

 private:
  class Driver;
  std::string where(const std::string& request) const;
  void exchange(const std::string& request, ReplyReader reply, double seconds);

  ExternalOptions options_;
  std::size_t bit_lines_;
  double age_ = 0;
  std::mutex mutex_;
  std::string failure_;  // of an earlier request; empty: none
  std::unique_ptr<Driver> driver_;
};

}  // namespace crosstate::hardware
