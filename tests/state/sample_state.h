// A state with one field of every kind.
#pragma once

#include <array>
#include <vector>

#include "base/types.h"

namespace bhvm::sample {

enum class Mode : u8 { kOneShot, kPeriodic };

struct Pair {
  u64 tag = 0;
  u64 frame = 0;
};

struct Timer {
  u32 count = 0;
  Mode mode = Mode::kOneShot;
  bool running = false;
};

struct State {
  std::array<u64, 4> gpr{};
  u8 narrow = 0;
  i16 offset = 0;
  bool halted = false;
  Mode mode = Mode::kOneShot;
  Timer timer;
  std::array<Timer, 2> timers{};
  std::array<std::array<u8, 3>, 2> grid{};
  std::array<Pair, 2> pairs{};
  std::vector<u16> fifo;
  std::vector<Timer> queue;
  std::vector<std::vector<u8>> frames;
};

inline State filled() {
  State state;
  state.gpr = {1, 0x1122334455667788, ~u64{0}, 4};
  state.narrow = 0x7f;
  state.offset = -2;
  state.halted = true;
  state.mode = Mode::kPeriodic;
  state.timer = {7, Mode::kPeriodic, true};
  state.timers = {{{8, Mode::kOneShot, true}, {9, Mode::kPeriodic, false}}};
  state.grid = {{{1, 2, 3}, {4, 5, 6}}};
  state.pairs = {{{10, 11}, {12, 13}}};
  state.fifo = {0xaabb, 0xccdd};
  state.queue = {{1, Mode::kPeriodic, false}};
  state.frames = {{}, {1, 2}};
  return state;
}

}  // namespace bhvm::sample
