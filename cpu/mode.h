// The mode key: everything outside the bytes themselves that decides how code is decoded.
//
// Blocks are keyed by physical address and this key, so a handler never asks at run time what cannot change inside a
// block.
#pragma once

#include "base/types.h"

namespace bhvm::mode {

inline constexpr u32 kCode64 = 1 << 0;        // CS.L with EFER.LMA
inline constexpr u32 kCode32 = 1 << 1;        // CS.D, not kCode64; neither: 16-bit code segment
inline constexpr u32 kStack32 = 1 << 2;       // SS.B, outside 64-bit code
inline constexpr u32 kFpuUsable = 1 << 3;     // CR0.EM = 0 and CR0.TS = 0: x87 and MMX execute
inline constexpr u32 kSseUsable = 1 << 4;     // CR0.EM = 0, CR0.TS = 0 and CR4.OSFXSR = 1: SSE executes
inline constexpr u32 kTaskSwitched = 1 << 5;  // CR0.TS: what is not usable raises #NM rather than #UD
inline constexpr u32 kEmulate = 1 << 6;       // CR0.EM
inline constexpr u32 kMonitorFpu = 1 << 7;    // CR0.MP: with TS, WAIT raises #NM
inline constexpr u32 kFlat = 1 << 8;          // outside 64-bit code: CS, DS, ES and SS have base 0 and limit 4 GiB - 1
inline constexpr u32 kXsave = 1 << 9;         // CR4.OSXSAVE
inline constexpr u32 kSseExceptions = 1 << 10;  // MXCSR has an exception unmasked: SSE arithmetic checks each result
inline constexpr u32 kSingle = 1 << 11;         // a block of one instruction, run alone

}  // namespace bhvm::mode
