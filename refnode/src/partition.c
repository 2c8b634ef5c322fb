#include "partition.h"

enum { TABLE = 0x8000, TABLE_BYTES = 0xc00, ENTRY = 32, MAGIC = 0x50aa, TYPE_DATA = 1, SUBTYPE_NVS = 2 };

bool partition_find_nvs(const uint8_t *flash, size_t flash_size, struct partition *found) {
  for (size_t at = TABLE; at + ENTRY <= TABLE + TABLE_BYTES && at + ENTRY <= flash_size; at += ENTRY) {
    const uint8_t *entry = flash + at;
    if (le16(entry) != MAGIC) {
      return false; /* the end marker, the MD5 entry, or no table at all */
    }
    struct partition partition = {le32(entry + 4), le32(entry + 8)};
    if (entry[2] == TYPE_DATA && entry[3] == SUBTYPE_NVS && partition.offset <= flash_size &&
        partition.size <= flash_size - partition.offset) {
      *found = partition;
      return true;
    }
  }
  return false;
}
