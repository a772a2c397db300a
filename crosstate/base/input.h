// A stream of bytes as it comes, from standard input or a pipe.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

namespace crosstate {

/// Reads from a file descriptor that someone else closes. A read that fails is an Error with the
/// name of the stream and the system's reason, and never its end.
class Input {
 public:
  /// `name` stands for the stream in errors: "standard input".
  Input(int descriptor, std::string name) : descriptor_(descriptor), name_(std::move(name)) {}
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  /// The next line without its line feed; false at the end of the stream. The last line may lack
  /// the line feed. Throws Error for a line of more than `most` bytes.
  bool line(std::string& text, std::size_t most);
  /// The next `size` bytes; fewer only at the end of the stream. Returns how many.
  std::size_t bytes(char* to, std::size_t size);

  const std::string& name() const { return name_; }
  /// Of the line that line() gave last, from 1.
  long long line_number() const { return lines_; }

 private:
  // Fills the buffer, which is used up; false at the end of the stream.
  bool fill();

  int descriptor_;
  std::string name_;
  std::string buffer_;
  std::size_t used_ = 0;  // of the buffer
  bool ended_ = false;
  long long lines_ = 0;
};

}  // namespace crosstate
