/* pflash unit 1: two 16-bit Intel (CFI command set 1) devices side by side, so every command is doubled. */
#include "board.h"

#include "hal.h"

const uint8_t *const hal_flash = (const uint8_t *)FLASH1_BASE;
const size_t hal_flash_size = FLASH1_SIZE;

enum {
  READ_ARRAY = 0x00ff00ff, PROGRAM = 0x00400040, BUFFERED_PROGRAM = 0x00e800e8, ERASE = 0x00200020,
  CONFIRM = 0x00d000d0, CLEAR_STATUS = 0x00500050, STATUS_READY = 0x00800080, STATUS_ERRORS = 0x003a003a,
};

/* Words that one buffered program command takes at most: 2 KiB, half of what the two devices' CFI tables allow. */
enum { BLOCK_WORDS = 512, SECTOR_WORDS = FLASH_SECTOR / 4 };

extern uint32_t __sector_buffer[FLASH_SECTOR / 4];

/* Both commands leave the device in status mode, in which its contents cannot be read. */
static bool finish(uintptr_t address) {
  uint32_t status;
  do {
    status = read32(address);
  } while ((status & STATUS_READY) != STATUS_READY);
  write32(address, CLEAR_STATUS);
  write32(address, READ_ARRAY);
  return !(status & STATUS_ERRORS);
}

static bool program_word(uintptr_t address, uint32_t word) {
  write32(address, PROGRAM);
  write32(address, word);
  return finish(address);
}

static bool erase_sector(uintptr_t address) {
  write32(address, ERASE);
  write32(address, CONFIRM);
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
  write32(address, BUFFERED_PROGRAM);
  write32(address, (BLOCK_WORDS - 1) << 16 | (BLOCK_WORDS - 1)); /* the count, for both devices */
  for (uint32_t i = 0; i < BLOCK_WORDS; i++) {
    write32(address + 4 * i, words[i]);
  }
  write32(address, CONFIRM);
  return finish(address);
}

static bool rewrite_sector(uintptr_t sector) {
  bool good = erase_sector(sector);
  for (uint32_t i = 0; i < SECTOR_WORDS; i += BLOCK_WORDS) {
    if (!is_erased(__sector_buffer + i)) {
      good &= program_block(sector + 4 * i, __sector_buffer + i);
    }
  }
  return good;
}

/* Writing without erasing: no bit rises, which most small writes are arranged for. False when one would have to. */
static bool only_falls(uint32_t offset, const uint8_t *data, size_t length) {
  for (size_t i = 0; i < length; i++) {
    if (data[i] & ~hal_flash[offset + i]) {
      return false;
    }
  }
  return true;
}

static bool program_words(uint32_t offset, const uint8_t *data, size_t length) {
  bool good = true;
  while (length) {
    uintptr_t address = FLASH1_BASE + (offset & ~3u);
    uint32_t old = read32(address), word = old;
    for (uint32_t within = offset % 4; length && within < 4; within++, offset++, length--) {
      ((uint8_t *)&word)[within] = *data++;
    }
    if (word != old) {
      good &= program_word(address, word);
    }
  }
  return good;
}

bool hal_flash_write(uint32_t offset, const uint8_t *data, size_t length) {
  if (offset > FLASH1_SIZE || length > FLASH1_SIZE - offset) {
    return false;
  }
  if (only_falls(offset, data, length)) {
    return program_words(offset, data, length);
  }
  bool good = true;
  while (length) {
    uint32_t within = offset % FLASH_SECTOR;
    uintptr_t sector = FLASH1_BASE + offset - within;
    for (uint32_t i = 0; i < SECTOR_WORDS; i++) {
      __sector_buffer[i] = read32(sector + 4 * i);
    }
    for (; length && within < FLASH_SECTOR; within++, offset++, length--) {
      ((uint8_t *)__sector_buffer)[within] = *data++;
    }
    good &= rewrite_sector(sector);
  }
  return good;
}
