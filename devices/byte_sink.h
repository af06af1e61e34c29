// ByteSink: where a chip's stream of bytes goes (a serial port's or a console's output).
#pragma once

#include <span>

#include "base/types.h"

namespace bhvm {

class ByteSink {
 public:
  virtual void write_bytes(std::span<const u8> bytes) = 0;

 protected:
  ~ByteSink() = default;
};

}  // namespace bhvm
