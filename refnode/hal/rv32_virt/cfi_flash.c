/* pflash unit 1: two 16-bit Intel (CFI command set 1) devices side by side, so every command is doubled. */
#include "board.h"

#include "hal.h"

const uint8_t *const hal_flash = (const uint8_t *)FLASH1_BASE;
const size_t hal_flash_size = FLASH1_SIZE;

enum {
  READ_ARRAY = 0x00ff00ff, PROGRAM = 0x00400040, ERASE = 0x00200020, CONFIRM = 0x00d000d0,
  CLEAR_STATUS = 0x00500050, STATUS_READY = 0x00800080, STATUS_ERRORS = 0x003a003a,
};

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

static bool rewrite_sector(uintptr_t sector, uint32_t index, uint32_t word) {
  for (uint32_t i = 0; i < FLASH_SECTOR / 4; i++) {
    __sector_buffer[i] = read32(sector + 4 * i);
  }
  __sector_buffer[index] = word;
  bool good = erase_sector(sector);
  for (uint32_t i = 0; i < FLASH_SECTOR / 4; i++) {
    if (__sector_buffer[i] != UINT32_MAX) {
      good &= program_word(sector + 4 * i, __sector_buffer[i]);
    }
  }
  return good;
}

static bool write_word(uint32_t offset, uint32_t word) {
  uintptr_t address = FLASH1_BASE + offset;
  uint32_t old = read32(address);
  if (old == word) {
    return true;
  }
  if ((old & word) == word) {
    return program_word(address, word);
  }
  uint32_t in_sector = offset % FLASH_SECTOR;
  return rewrite_sector(address - in_sector, in_sector / 4, word);
}

bool hal_flash_write(uint32_t offset, const uint8_t *data, size_t length) {
  if (offset > FLASH1_SIZE || length > FLASH1_SIZE - offset) {
    return false;
  }
  bool good = true;
  while (length) {
    uint32_t base = offset & ~3u;
    uint32_t word = read32(FLASH1_BASE + base);
    for (; length && (offset & ~3u) == base; offset++, length--, data++) {
      uint32_t shift = 8 * (offset & 3u);
      word = (word & ~(0xffu << shift)) | (uint32_t)*data << shift;
    }
    good &= write_word(base, word);
  }
  return good;
}
