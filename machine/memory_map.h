// The one memory map: every physical address, I/O port and interrupt pin of the board.
//
// A chip knows offsets and pins; where they lie is decided here and nowhere else. RAM's own extent (up to 3 GiB, the
// rest from 4 GiB on) is GuestMemory's.
#pragma once

#include <array>
#include <cstddef>

#include "base/types.h"

namespace bhvm::memory_map {

// ---- Low RAM: what the loader leaves for the kernel (machine/linux_boot.h) ----
inline constexpr u64 kBootGdt = 0x6000;
inline constexpr u64 kBootParams = 0x7000;      // the zero page
inline constexpr u64 kBootPageTables = 0x8000;  // PML4, PDPT and four page directories: six pages
inline constexpr u64 kBootCommandLine = 0x20000;
inline constexpr u64 kExtendedBiosData = 0x9FC00;  // reserved up to the legacy hole

// ---- The legacy hole: RAM to the memory, reserved to the guest ----
inline constexpr u64 kLegacyHoleBase = 0xA0000;
inline constexpr u64 kAcpiBase = 0xE0000;  // RSDP first, then the tables; where ACPI 6.4, 5.2.5.1 has it looked for
inline constexpr u64 kLegacyHoleEnd = 0x100000;

// ---- Memory-mapped chips ----
inline constexpr u64 kVirtioBase = 0xD0000000;
inline constexpr u64 kVirtioSlotSize = 0x1000;
inline constexpr u64 kIoApicBase = 0xFEC00000;
inline constexpr u64 kHpetBase = 0xFED00000;
inline constexpr u64 kLapicBase = 0xFEE00000;

// ---- I/O ports ----
inline constexpr u16 kRtcPort = 0x70;
inline constexpr u16 kSystemControlPortA = 0x92;   // bit 0: fast reset
inline constexpr u16 kKeyboardCommandPort = 0x64;  // FEh: pulse the reset line; there is no keyboard controller
inline constexpr u16 kExitPort = 0xF4;
inline constexpr u16 kUartPort = 0x3F8;
inline constexpr u16 kPvPanicPort = 0x505;
inline constexpr u16 kPmPort = 0x600;         // PM1a event block, 4 bytes
inline constexpr u16 kPmControlPort = 0x604;  // PM1a control block, 2 bytes
inline constexpr u16 kPmTimerPort = 0x608;    // PM timer, 4 bytes
inline constexpr u16 kResetPort = 0xCF9;
inline constexpr u8 kResetValue = 0x06;  // full reset

// ---- IOAPIC pins (global system interrupts) ----
inline constexpr u32 kHpetTimer0Pin = 2;  // legacy replacement route of timer 0
inline constexpr u32 kUartPin = 4;
inline constexpr u32 kRtcPin = 8;
inline constexpr u32 kSciPin = 9;
/// Pins that the timers of the HPET can be routed to.
inline constexpr std::array<u32, 2> kHpetRoutePins = {3, 13};
/// The pin of each virtio slot: first those that no ISA interrupt has ever been on.
inline constexpr std::array<u32, 16> kVirtioPins = {16, 17, 18, 19, 20, 21, 22, 23, 5, 6, 7, 10, 11, 12, 14, 15};
inline constexpr std::size_t kVirtioSlots = kVirtioPins.size();

constexpr u64 virtio_slot_base(std::size_t slot) { return kVirtioBase + slot * kVirtioSlotSize; }

}  // namespace bhvm::memory_map
