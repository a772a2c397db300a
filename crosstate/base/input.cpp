#include "crosstate/base/input.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "crosstate/base/error.h"

namespace crosstate {

bool Input::fill() {
  constexpr std::size_t kBlock = std::size_t{1} << 16;
  // A terminal may continue after an end of file; the stream does not.
  if (ended_) return false;
  buffer_.erase(0, used_);
  used_ = 0;
  const std::size_t kept = buffer_.size();
  buffer_.resize(kept + kBlock);
  for (;;) {
    const ssize_t got = read(descriptor_, buffer_.data() + kept, kBlock);
    if (got >= 0) {
      buffer_.resize(kept + static_cast<std::size_t>(got));
      ended_ = got == 0;
      return got > 0;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
      const int error = errno;
      buffer_.resize(kept);
      fail(name_, std::string("cannot read: ") + std::strerror(error));
    }
    // The descriptor is in non-blocking mode, so wait here.
    pollfd wait = {descriptor_, POLLIN, 0};
    poll(&wait, 1, -1);
  }
}

bool Input::line(std::string& text, std::size_t most) {
  text.clear();
  bool any = false;
  while (used_ < buffer_.size() || fill()) {
    any = true;
    const std::size_t end = buffer_.find('\n', used_);
    text.append(buffer_, used_, end == std::string::npos ? end : end - used_);
    used_ = end == std::string::npos ? buffer_.size() : end + 1;
    if (text.size() > most) {
      fail(name_ + ':' + std::to_string(lines_ + 1),
           "more than " + std::to_string(most) + " bytes in one line");
    }
    if (end != std::string::npos) break;
  }
  lines_ += any ? 1 : 0;
  return any;
}

std::string_view Input::peek(std::size_t size) {
  while (buffer_.size() - used_ < size && fill()) {
  }
  return std::string_view(buffer_).substr(used_, size);
}

std::size_t Input::bytes(char* to, std::size_t size) {
  std::size_t done = 0;
  while (done < size && (used_ < buffer_.size() || fill())) {
    const std::size_t part = std::min(size - done, buffer_.size() - used_);
    std::memcpy(to + done, buffer_.data() + used_, part);
    used_ += part;
    done += part;
  }
  return done;
}

}  // namespace crosstate
