/* The ESP-IDF partition table at 0x8000 (ESP-IDF programming guide, "Partition Tables"). */
#ifndef PARTITION_H
#define PARTITION_H

#include "base.h"

struct partition {
  uint32_t offset, size;
};

/* The first NVS partition (type data, subtype nvs) that lies within the flash.
 * False when there is no usable table; the caller then assumes the usual place. */
bool partition_find_nvs(const uint8_t *flash, size_t flash_size, struct partition *found);

#endif
