// Numbers as text, in lines of fields separated by blanks and commas.
#include "crosstate/base/numbers.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>
#include <vector>

#include "crosstate/base/error.h"
#include "fuzz/target.h"

namespace crosstate::fuzz {
namespace {

template <class T>
void check(std::string_view field, const ReadNumber<T>& number) {
  require(number.value.has_value() == number.wrong.empty(), "a value or what is wrong");
  if (!number.value) return;
  require(std::isfinite(*number.value), "a finite number");
  require(field.front() != '-' || std::signbit(*number.value), "the sign of the text");
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, *number.value).ptr;
  require(read_number<T>({text, end}).value == number.value, "a number that reads back");
}

}  // namespace

void read(const std::string& bytes) {
  std::string_view rest = without_byte_order_mark(bytes, "fuzz.txt");
  std::vector<std::string_view> fields;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    split_numbers(rest.substr(0, end), fields);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    for (const std::string_view field : fields) {
      const ReadNumber<double> number = read_number<double>(field);
      check(field, number);
      const ReadNumber<float> narrow = read_number<float>(field);
      check(field, narrow);
      require(number.value || !narrow.value, "a double wherever there is a float");
      if (!number.value)
        fail("fuzz.txt", '"' + excerpt(field, 40) + "\" " + std::string(number.wrong));
    }
  }
}

}  // namespace crosstate::fuzz
