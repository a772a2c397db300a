// Protocol with the driver of an external chip: requests and replies as lines of text
// (docs/external-chip.md).
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "crosstate/hardware/backend.h"

namespace crosstate::hardware {

/// Requests as they are sent, including the final line end. Numbers are written with the fewest
/// digits that read back as the same bits.
std::string hello_request(std::size_t arrays, std::size_t rows, std::size_t bit_lines);
/// conductances: [..][bit_lines]
std::string program_request(std::size_t array, std::size_t bit_lines,
                            std::span<const double> conductances);
std::string age_request(double seconds);
/// voltages: [count][..]
std::string multiply_request(std::size_t array, BitLines lines, std::size_t count,
                             std::span<const double> voltages);
std::string quit_request();

/// The replies to successful requests.
inline constexpr std::string_view kHelloReply = "ok 1";  // with the version of the protocol
inline constexpr std::string_view kReply = "ok";

/// Parses one reply incrementally, in pieces of any size: the line `head` and then `count` lines of
/// numbers, which are stored in `numbers`, [count][..].
class ReplyReader {
 public:
  /// `where` names chip and request in errors; numbers with a magnitude above `most` are errors.
  ReplyReader(std::string where, std::string_view head, std::size_t count = 0,
              std::span<double> numbers = {},
              double most = std::numeric_limits<double>::infinity());

  /// Throws Error for "error TEXT", with the text, and for anything other than the expected reply,
  /// as early as possible: another head, too few or too many numbers, a number that is not finite
  /// or an overload value of an instrument, text after the reply.
  void take(std::string_view bytes);
  bool complete() const { return lines_ == count_ + 1; }
  const std::string& where() const { return where_; }
  /// The part received so far, for error messages: "2 of 17 lines".
  std::string progress() const;

 private:
  void take_line(std::string_view line);

  std::string where_, line_;
  std::string_view head_;
  std::size_t count_, lines_ = 0;  // lines_: complete lines so far
  std::span<double> numbers_;
  double most_;
};

}  // namespace crosstate::hardware
