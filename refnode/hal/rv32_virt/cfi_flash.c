/* pflash unit 1: two 16-bit Intel (CFI command set 1) devices side by side, so every command is doubled. */
#include "board.h"

#include "devices.h"
#include "hal.h"

const uint8_t *const hal_flash = (const uint8_t *)FLASH1_BASE;
const size_t hal_flash_size = FLASH1_SIZE;
const uint32_t flash_sector_bytes = FLASH_SECTOR;

enum {
  READ_ARRAY = 0x00ff00ff, PROGRAM = 0x00400040, BUFFERED_PROGRAM = 0x00e800e8, ERASE = 0x00200020,
  CONFIRM = 0x00d000d0, CLEAR_STATUS = 0x00500050, STATUS_READY = 0x00800080, STATUS_ERRORS = 0x003a003a,
};

/* Words that one buffered program command takes at most: 2 KiB, half of what the two devices' CFI tables allow. */
enum { BLOCK_WORDS = 512 };

/* Every command leaves the device in status mode, in which its contents cannot be read. */
static bool finish(uintptr_t address) {
  uint32_t status;
  do {
    status = read32(address);
  } while ((status & STATUS_READY) != STATUS_READY);
  write32(address, CLEAR_STATUS);
  write32(address, READ_ARRAY);
  return !(status & STATUS_ERRORS);
}

bool flash_erase(uintptr_t sector) {
  write32(sector, ERASE);
  write32(sector, CONFIRM);
  return finish(sector);
}

/* The emulated device stores what it is given, also bits that rise. */
static bool program_word(uintptr_t address, uint32_t word) {
  uint32_t old = read32(address);
  word &= old;
  if (word == old) {
    return true;
  }
  write32(address, PROGRAM);
  write32(address, word);
  return finish(address);
}

static bool is_erased(const uint32_t *words) {
  for (uint32_t i = 0; i < BLOCK_WORDS; i++) {
    if (words[i] != UINT32_MAX) {
      return false;
    }
  }
  return true;
}

static bool program_block(uintptr_t address, const uint32_t *words) {
  if (is_erased(words)) {
    return true;
  }
  write32(address, BUFFERED_PROGRAM);
  write32(address, (BLOCK_WORDS - 1) << 16 | (BLOCK_WORDS - 1)); /* the count, for both devices */
  for (uint32_t i = 0; i < BLOCK_WORDS; i++) {
    write32(address + 4 * i, words[i]);
  }
  write32(address, CONFIRM);
  return finish(address);
}

bool flash_program(uintptr_t address, const uint32_t *words, uint32_t count) {
  bool good = true;
  for (; count >= BLOCK_WORDS; count -= BLOCK_WORDS, words += BLOCK_WORDS, address += 4 * BLOCK_WORDS) {
    good &= program_block(address, words);
  }
  for (; count; count--, words++, address += 4) {
    good &= program_word(address, *words);
  }
  return good;
}
