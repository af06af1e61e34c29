// Interrupt lines: a wire with a level from a chip's pin to whoever listens.
#pragma once

#include "base/types.h"

namespace bhvm {

/// The listening end of one or more wires, told apart by an index of its own.
class LineListener {
 public:
  virtual void set_line(u32 index, bool level) = 0;

 protected:
  ~LineListener() = default;
};

/// A chip's pin: drives one line of one listener. A default-made pin is connected to nothing.
/// The level is state of the listener; restoring a chip does not drive its pins.
class Line {
 public:
  Line() = default;
  Line(LineListener& listener, u32 index) : listener_(&listener), index_(index) {}
  void set(bool level) const {
    if (listener_ != nullptr) listener_->set_line(index_, level);
  }

 private:
  LineListener* listener_ = nullptr;
  u32 index_ = 0;
};

}  // namespace bhvm
