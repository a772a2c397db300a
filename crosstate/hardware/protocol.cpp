#include "crosstate/hardware/protocol.h"

#include <charconv>
#include <cmath>

#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"

namespace crosstate::hardware {
namespace {

constexpr std::size_t kLongestText = 4096;  // length of a line without numbers
constexpr std::size_t kLongestNumber = 64;  // including its separator
constexpr std::string_view kBlanks = " \t\r";

template <class T>
void append(std::string& text, T number) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  text.append(digits, end);
}

void append_lines(std::string& text, std::size_t per_line, std::span<const double> numbers) {
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    append(text, numbers[i]);
    text += (i + 1) % per_line == 0 ? '\n' : ' ';
  }
}

std::string_view trimmed(std::string_view line) {
  const std::size_t last = line.find_last_not_of(kBlanks);
  return line.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

// Reads a current in amperes. The overload value of an instrument has its own error message,
// different from that for text that is not a number.
double current_of(std::string_view word, const std::string& where, const std::string& at) {
  const ReadNumber<double> number = read_number<double>(word);
  const bool overload = number.value
                            ? is_overload(*number.value)
                            : number.wrong == "is too large" || number.wrong == "is not finite";
  if (number.value && !overload) return *number.value;
  const std::string found = at + "has \"" + excerpt(word, 40) + "\", ";
  if (overload) {
    fail(where, found +
                    "an overload or no measurement, expected a finite number of amperes: use a "
                    "lower voltage or a wider range of the instrument");
  }
  fail(where, found + "which " + std::string(number.wrong) + ", expected a finite number");
}

}  // namespace

std::string hello_request(std::size_t arrays, std::size_t rows, std::size_t bit_lines) {
  return "hello 1 " + std::to_string(arrays) + ' ' + std::to_string(rows) + ' ' +
         std::to_string(bit_lines) + '\n';
}

std::string program_request(std::size_t array, std::size_t bit_lines,
                            std::span<const double> conductances) {
  std::string text = "program " + std::to_string(array) + '\n';
  append_lines(text, bit_lines, conductances);
  return text;
}

std::string age_request(double seconds) {
  std::string text = "age ";
  append(text, seconds);
  return text + '\n';
}

std::string multiply_request(std::size_t array, BitLines lines, std::size_t count,
                             std::span<const double> voltages) {
  std::string text = "multiply " + std::to_string(array) + ' ' + std::to_string(lines.first) + ' ' +
                     std::to_string(lines.count) + ' ' + std::to_string(count) + '\n';
  append_lines(text, voltages.size() / count, voltages);
  return text;
}

std::string quit_request() { return "quit\n"; }

ReplyReader::ReplyReader(std::string where, std::string_view head, std::size_t count,
                         std::span<double> numbers, double most)
    : where_(std::move(where)), head_(head), count_(count), numbers_(numbers), most_(most) {}

void ReplyReader::take(std::string_view bytes) {
  while (!bytes.empty()) {
    if (complete()) fail(where_, "\"" + excerpt(bytes) + "\" after the whole reply");
    const std::size_t end = bytes.find('\n');
    line_ += bytes.substr(0, end);
    const std::size_t longest =
        kLongestText + (count_ > 0 ? numbers_.size() / count_ : 0) * kLongestNumber;
    if (line_.size() > longest) {
      fail(where_, "line " + std::to_string(lines_ + 1) + " has more than " +
                       std::to_string(longest) + " bytes: \"" + excerpt(line_, 40) + "\"");
    }
    if (end == std::string_view::npos) return;
    take_line(trimmed(line_));
    line_.clear();
    ++lines_;
    bytes.remove_prefix(end + 1);
  }
}

void ReplyReader::take_line(std::string_view line) {
  if (lines_ == 0) {
    // Some languages write a byte order mark first.
    if (head_ == kHelloReply) line = without_byte_order_mark(line, where_);
    if (line == head_) return;
    if (line.starts_with("error")) {
      fail(where_, "the chip answers \"" + excerpt(line, 400) + "\"");
    }
    fail(where_, "the chip answers \"" + excerpt(line) + "\", expected \"" + std::string(head_) +
                     "\" or \"error TEXT\"");
  }
  const std::size_t expected = numbers_.size() / count_;
  const std::string at = "line " + std::to_string(lines_) + " of the currents ";
  double* const to = numbers_.data() + (lines_ - 1) * expected;
  std::size_t found = 0;
  for (;;) {
    const std::size_t start = line.find_first_not_of(kBlanks);
    if (start == std::string_view::npos) break;
    line.remove_prefix(start);
    const std::string_view word = line.substr(0, line.find_first_of(kBlanks));
    const double value = current_of(word, where_, at);
    if (std::abs(value) > most_) {
      fail(where_, at + "has \"" + excerpt(word, 40) + "\", expected a current in amperes");
    }
    if (found < expected) to[found] = value;
    ++found;
    line.remove_prefix(word.size());
  }
  if (found != expected) {
    fail(where_,
         at + "has " + std::to_string(found) + " numbers, expected " + std::to_string(expected));
  }
}

std::string ReplyReader::progress() const {
  return std::to_string(lines_) + " of " + std::to_string(count_ + 1) + " lines";
}

}  // namespace crosstate::hardware
