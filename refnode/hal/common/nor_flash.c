/* Writing as NOR flash allows it: bits are cleared one by one, and set only by erasing a sector. */
#include "devices.h"
#include "hal.h"

extern uint32_t __sector_buffer[]; /* of one sector */

static bool only_falls(uint32_t offset, const uint8_t *data, size_t length) {
  for (size_t i = 0; i < length; i++) {
    if (data[i] & ~hal_flash[offset + i]) {
      return false;
    }
  }
  return true;
}

/* What most small writes are arranged for: no bit rises. */
static bool program(uint32_t offset, const uint8_t *data, size_t length) {
  bool good = true;
  while (length) {
    uint32_t at = offset & ~3u, word = UINT32_MAX;
    for (uint32_t within = offset % 4; length && within < 4; within++, offset++, length--) {
      ((uint8_t *)&word)[within] = *data++;
    }
    good &= flash_program((uintptr_t)hal_flash + at, &word, 1);
  }
  return good;
}

bool hal_flash_write(uint32_t offset, const uint8_t *data, size_t length) {
  if (offset > hal_flash_size || length > hal_flash_size - offset) {
    return false;
  }
  if (only_falls(offset, data, length)) {
    return program(offset, data, length);
  }
  bool good = true;
  const uint32_t words = flash_sector_bytes / 4;
  while (length) {
    uint32_t within = offset % flash_sector_bytes;
    const uint32_t *sector = (const uint32_t *)(const void *)(hal_flash + offset - within);
    for (uint32_t i = 0; i < words; i++) {
      __sector_buffer[i] = sector[i];
    }
    for (; length && within < flash_sector_bytes; within++, offset++, length--) {
      ((uint8_t *)__sector_buffer)[within] = *data++;
    }
    good &= flash_erase((uintptr_t)sector) && flash_program((uintptr_t)sector, __sector_buffer, words);
  }
  return good;
}
