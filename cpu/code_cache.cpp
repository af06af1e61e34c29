#include "cpu/code_cache.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "base/check.h"
#include "cpu/control.h"
#include "cpu/handler.h"
#include "cpu/joined_ops.h"
#include "cpu/translated_shapes.h"
#include "cpu/undefined.h"

namespace bhvm {

const Block unlinked_block = {.count = 0xFFFF, .page_number = 0xFFFFFFFF};

namespace {

/// Takes what leads to blocks that are gone out of `block`.
void forget(Block& block, BlockArena::Range gone) {
  bool transfers = true;  // does the last link lead anywhere?
  for (const OpDetails& details : std::span(block.details_begin(), block.details)) {
    if (!details.linked) continue;
    u8* const op = block.at_slot(details.at);
    if (details.in_page) {
      InPageOp* const jump = reinterpret_cast<InPageOp*>(op);
      if (gone.contains(Block::of_first(jump->target))) jump->lead_to(&unlinked_block, details.rest);
      continue;
    }
    const Block*& link = reinterpret_cast<Op*>(op)->link;
    if (gone.contains(link)) link = &unlinked_block;
    transfers = link != &unlinked_block;
  }
  bool has_older_target;
  IndirectCallData* const notes = transfer_data(block, has_older_target);
  if (notes == nullptr) return;
  if (!transfers) notes->to_generation = FetchGeneration::kNever;
  if (gone.contains(notes->behind)) {
    notes->behind = &unlinked_block;
    notes->behind_generation = FetchGeneration::kNever;
  }
  if (has_older_target && gone.contains(notes->older_target)) notes->older_target = &unlinked_block;
}

}  // namespace

CodeCache::CodeCache(Mmu& mmu)
    : mmu_(mmu),
      memory_(mmu.memory()),
      buckets_(kBuckets),
      pages_(memory_.size_bytes() / kPageSize),
      watched_(pages_.size()) {}

CodeCache::~CodeCache() = default;

std::size_t CodeCache::page_index(PhysicalAddress page) const {
  const u64 number = page.page_number();
  constexpr u64 kHigh = GuestMemory::kHighBase >> kPageShift;
  constexpr u64 kLow = GuestMemory::kLowLimit >> kPageShift;
  return number < kHigh ? number : number - kHigh + kLow;
}

Block* CodeCache::find(u64 page, u16 start, u32 mode) {
  Block* block = arena_.at(bucket_of(page, start, mode));
  while (block != nullptr && (block->start != start || block->page().value != page || block->mode != mode)) {
    block = arena_.at(block->next_in_bucket);
  }
  return block;
}

const Block* CodeCache::block_at(PhysicalAddress address, u32 mode, const PhysicalAddress* second_page) {
  needs_second_page_ = false;
  if (const Block* block = find(address, mode)) return block;
  return memory_.is_ram(address) ? build(address, mode, second_page) : nullptr;
}

Decoded CodeCache::decode(std::span<const u8> bytes, const InstructionShape& shape, u16 page_offset, u32 mode,
                          Instruction*& insn) {
  const Decoded decoded = decoder_->decode(bytes, shape, (mode & mode::kCode64) != 0, insn);
  insn->page_offset = page_offset;
  insn->mode = mode;
  return decoded;
}

Decoded CodeCache::decode_joined(const u8* first, std::size_t first_size, PhysicalAddress second_page, u16 page_offset,
                                 u32 mode, Instruction*& insn) {
  std::array<u8, 2 * kLongestInstruction> joined{};
  std::memcpy(joined.data(), first, first_size);
  memory_.read(second_page, joined.data() + first_size, kLongestInstruction);
  return decode(std::span(joined).first(first_size + kLongestInstruction), {}, page_offset, mode, insn);
}

void CodeCache::translate(const Instruction& insn, bool straddles) {
  builder_.start_instruction(insn);
  if (straddles) builder_.emit(check_second_page);
  const Translator translator = translators().find(insn.z.mnemonic);
  if (translator == nullptr || !translator(builder_, insn)) emit_missing(builder_, insn);
}

Block* CodeCache::build(PhysicalAddress address, u32 mode, const PhysicalAddress* second_page) {
  const PhysicalAddress page = address.page();
  const u8* bytes = memory_.page_for_read(page);
  const unsigned limit = (mode & mode::kSingle) != 0 ? 1 : kMaxInstructions;
  const u16 start = static_cast<u16>(address.page_offset());
  unsigned offset = start;
  u8 second_size = 0;
  builder_.begin(mode);
  decoder_ = &DecodedShapes::of_this_thread();
  TranslatedShapes& translated = TranslatedShapes::of_this_thread();
  const bool repeats = (mode & (mode::kCode64 | mode::kSingle)) == mode::kCode64;
  while (!builder_.ended() && builder_.instructions() < limit && offset < kPageSize) {
    const u16 here = static_cast<u16>(offset);
    const std::span to_page_end(bytes + offset, kPageSize - offset);
    const InstructionShape shape = InstructionShape::of(to_page_end);
    if (repeats && shape) {
      if (const unsigned length = translated.repeat(builder_, shape, bytes + offset, here)) {
        offset += length;
        continue;
      }
    }
    Instruction* insn = nullptr;
    Decoded decoded = decode(to_page_end, shape, here, mode, insn);
    if (decoded == Decoded::kTruncated) {
      if (builder_.instructions() != 0) break;  // it gets a block of its own
      if (second_page == nullptr || !memory_.is_ram(*second_page)) {
        needs_second_page_ = second_page == nullptr;
        return nullptr;
      }
      decoded = decode_joined(bytes + offset, kPageSize - offset, *second_page, here, mode, insn);
      // An undecodable one is told from the next page's bytes too: any change there decodes it anew.
      const unsigned length = decoded == Decoded::kYes ? insn->length() : kLongestInstruction;
      second_size = static_cast<u8>(length - (kPageSize - offset));
    }
    if (decoded != Decoded::kYes) {
      builder_.start_undecodable(here);
      if (second_size != 0) builder_.emit(check_second_page);
      emit_undecodable(builder_, decoded == Decoded::kTooLong);
      offset += 1;
      break;
    }
    translate(*insn, second_size != 0);
    if (const DecodedShapes::Numbers* const numbers = decoder_->numbers()) {
      const bool kept = repeats && translated.keep(builder_, *insn, bytes + offset, *numbers);
      if (!kept || shape.immediate_is_kind) decoder_->keep();
    }
    offset += insn->length();
    if (second_size != 0) break;
  }
  if (!builder_.ended()) emit_fall_through(builder_, offset);
  if (second_size != 0) builder_.emit_data();
  builder_.finish();
  const std::span kinds = std::span(kinds_).first(builder_.ops().size());
  if (second_size == 0) {
    join_ops(builder_.ops(), builder_.notes(), kinds);
  } else {
    std::ranges::fill(kinds, OpKind::kOp);
  }
  Block* block = commit(page, mode, start, static_cast<u16>(std::min<u64>(offset, kPageSize)), second_size);
  if (second_size != 0) {
    block->second_page() = {};
    memory_.read(*second_page, block->second_page().bytes, second_size);
  }
  memory_.mark_code({page.value | start}, static_cast<u64>(block->end) - start);
  enter(*block);
  return block;
}

void CodeCache::enter(Block& block) {
  const PhysicalAddress page = block.page();
  const u32 place = arena_.place_of(&block);
  u32& head = pages_[page_index(page)];
  if (head == 0) pages_in_use_.push_back(page);
  block.next_in_page = head;
  head = place;
  u32& bucket = bucket_of(&block);
  block.next_in_bucket = bucket;
  bucket = place;
}

void CodeCache::remove(Block* block) {
  for (u32* link = &pages_[page_index(block->page())]; *link != 0; link = &arena_.at(*link)->next_in_page) {
    if (arena_.at(*link) == block) {
      *link = block->next_in_page;
      return;
    }
  }
}

bool CodeCache::holds_end_of(const Block* block, PhysicalAddress second_page) const {
  const u8* bytes = memory_.peek_page(second_page);
  return bytes != nullptr && std::memcmp(bytes, block->second_page().bytes, block->second_size) == 0;
}

bool CodeCache::watch_end_of(const Block* block, PhysicalAddress second_page) {
  if (!holds_end_of(block, second_page)) return false;
  memory_.mark_code(second_page, block->second_size);
  watched_[page_index(second_page)] = true;
  return true;
}

bool CodeCache::revalidate(const Block* block, PhysicalAddress second_page) {
  if (holds_end_of(block, second_page)) return true;
  Block* changed = const_cast<Block*>(block);
  kill(changed);
  remove(changed);
  return false;
}

Block* CodeCache::allocate(std::size_t slots) {
  if (!arena_.fits(slots)) throw_older_half_away();
  return arena_.allocate(slots);
}

void CodeCache::throw_older_half_away() {
  const BlockArena::Range gone = arena_.empty_older_half();
  if (gone.begin == gone.end) return;
  std::vector<PhysicalAddress> pages;
  pages.swap(pages_in_use_);
  for (const PhysicalAddress page : pages) pages_[page_index(page)] = 0;
  std::memset(buckets_.data(), 0, buckets_.size() * sizeof(u32));
  arena_.for_each_block([&](Block& block) {
    if (block.dead()) return;
    forget(block, gone);
    enter(block);
  });
  for (const PhysicalAddress page : pages) {
    if (pages_[page_index(page)] == 0) memory_.clear_code(page);
  }
  mmu_.renew_fetch_generations();  // ends may not be watched any more
  statistics_.flushes += 1;
}

Block* CodeCache::commit(PhysicalAddress page, u32 mode, u16 start, u16 end, u8 second_size) {
  const std::span<const Op> ops = builder_.ops();
  Block* block = allocate(most_slots(ops.size()));
  block->count = static_cast<u16>(builder_.instructions());
  block->mode = static_cast<u16>(mode);
  block->page_number = static_cast<u32>(page.page_number());
  block->start = start;
  block->end = end;
  block->second_size = second_size & 0xF;
  write_ops(ops, builder_.notes(), kinds_, *block);
  arena_.trim(*block);
  statistics_.blocks_built += 1;
  return block;
}

void CodeCache::kill(Block* block) {
  const_cast<Op*>(block->ops())->handler = leave_dead_block;
  u32* link = &bucket_of(block);
  while (arena_.at(*link) != block) link = &arena_.at(*link)->next_in_bucket;
  *link = block->next_in_bucket;
  block->end = block->start;
  block->start = Block::kNowhere;  // no indirect jump takes it any more,
  mmu_.renew_fetch_generations();  // nor one that noted where it leads
  statistics_.blocks_killed += 1;
}

void CodeCache::code_written(PhysicalAddress address, u64 size) {
  const PhysicalAddress page = address.page();
  const u64 first = address.page_offset();
  const u64 behind = first + size;
  u32* link = &pages_[page_index(page)];
  u64 still_code = 0;
  while (Block* block = arena_.at(*link)) {
    if (block->start < behind && first < block->end) {
      kill(block);
      *link = block->next_in_page;
    } else {
      still_code |= GuestMemory::code_granules(block->start, static_cast<u64>(block->end) - block->start);
      link = &block->next_in_page;
    }
  }
  memory_.clear_code(page, still_code);
  if (std::exchange(watched_[page_index(page)], false)) mmu_.renew_fetch_generations();
}

void CodeCache::flush() {
  for (const PhysicalAddress page : pages_in_use_) {
    pages_[page_index(page)] = 0;
    memory_.clear_code(page);
  }
  pages_in_use_.clear();
  if (statistics_.blocks_built != 0) std::memset(buckets_.data(), 0, buckets_.size() * sizeof(u32));
  arena_.empty();
  statistics_.flushes += 1;
}

}  // namespace bhvm
