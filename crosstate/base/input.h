// Reads a stream of bytes as it arrives, from standard input or a pipe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace crosstate {

/// Reads from a file descriptor, which it does not close. A failed read is an Error with the name
/// of the stream and the reason, never an end of stream.
class Input {
 public:
  /// `name` identifies the stream in errors: "standard input".
  Input(int descriptor, std::string name) : descriptor_(descriptor), name_(std::move(name)) {}
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  /// Reads the next line without its line feed; returns false at the end of the stream. The last
  /// line may lack the line feed. Throws Error for a line of more than `most` bytes.
  bool line(std::string& text, std::size_t most);
  /// Reads the next `size` bytes, or fewer at the end of the stream. Returns their number.
  std::size_t bytes(char* to, std::size_t size);

  /// The next `size` bytes, or fewer at the end of the stream, which are read again later. Valid
  /// until the next call.
  std::string_view peek(std::size_t size);

  const std::string& name() const { return name_; }
  /// Number of the line that line() returned last, from 1.
  long long line_number() const { return lines_; }

 private:
  // Adds bytes to those that are not used yet; false at the end of the stream.
  bool fill();

  int descriptor_;
  std::string name_;
  std::string buffer_;
  std::size_t used_ = 0;  // position in the buffer
  bool ended_ = false;
  long long lines_ = 0;
};

}  // namespace crosstate
