/* Reader and writer of ESP-IDF NVS partitions, written from the documented format
 * (ESP-IDF programming guide, "Non-Volatile Storage Library": structure of a page and of an entry).
 *
 * Half a configuration is worse than none, so a partition is either entirely good, empty, or damaged. */
#ifndef NVS_H
#define NVS_H

#include "base.h"

enum nvs_state { NVS_GOOD, NVS_EMPTY, NVS_DAMAGED };

struct nvs {
  const uint8_t *data;
  size_t size;
  enum nvs_state state;
  const char *reason; /* why it is damaged */
  uint32_t place;     /* page number * 1000 + entry number of the damage; entry 999: the page's header */
  uint32_t torn;      /* entries whose writing was cut off: no damage, they count as absent */
  uint32_t torn_place; /* of the last one */
};

/* Check every page and entry. The memory must stay readable while `nvs` is in use. */
void nvs_open(struct nvs *nvs, const uint8_t *data, size_t size);

/* The readers leave `*value` alone and return false when namespace or key are absent or of another type.
 * An integer of any width is accepted if its value lies in 0..max. */
bool nvs_get_uint(const struct nvs *nvs, const char *space, const char *key, uint32_t max, uint32_t *value);

/* Copies the string with its NUL; false also when it does not fit. */
bool nvs_get_string(const struct nvs *nvs, const char *space, const char *key, char *value, size_t capacity);

/* Copies a blob (either format version) of at most `capacity` bytes and sets `*length`. */
bool nvs_get_blob(const struct nvs *nvs, const char *space, const char *key, uint8_t *value, size_t capacity,
                  size_t *length);

/* Write a value; what `key` held before is there until the new value is complete, whenever the power goes.
 * Only for a partition in hal_flash. NULL, or why it was not written. */
const char *nvs_put_uint(struct nvs *nvs, const char *space, const char *key, uint32_t value);

/* CRC-32 (reflected polynomial 0xedb88320) as NVS uses it: register starts at 0, result inverted. It can be
 * continued: pass the previous result instead of NVS_CRC_START. */
uint32_t nvs_crc(const uint8_t *data, size_t length, uint32_t crc);
#define NVS_CRC_START 0xffffffffu

#endif
