/* The board has no flash. A part of its memory plays one, by the rules of NOR flash. The emulator backs that memory with
 * the image file, so it is as lasting as a real one. */
#include "board.h"

#include "devices.h"
#include "hal.h"

const uint8_t *const hal_flash = (const uint8_t *)FLASH_BASE;
const size_t hal_flash_size = FLASH_SIZE;
const uint32_t flash_sector_bytes = FLASH_SECTOR;

bool flash_erase(uintptr_t sector) {
  for (uint32_t i = 0; i < FLASH_SECTOR; i += 4) {
    write32(sector + i, UINT32_MAX);
  }
  return true;
}

bool flash_program(uintptr_t address, const uint32_t *words, uint32_t count) {
  for (; count; count--, words++, address += 4) {
    write32(address, read32(address) & *words);
  }
  return true;
}
