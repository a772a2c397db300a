// Messages between the processes of one search, possibly on several machines.
#pragma once

#include <string>
#include <vector>

namespace crosstate::search {

struct Message {
  int from = 0;
  std::string text;
};

/// Ranks 0 to size() - 1. No call blocks, and none fails if another rank is dead; messages to it
/// are lost. Messages are short (below 4 kB, which networks send at once). Only one thread calls.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual void send(int to, const std::string& text) = 0;
  /// The messages that have arrived since the last call.
  virtual std::vector<Message> receive() = 0;
};

}  // namespace crosstate::search
