/* Where what is in an NVS partition: shared by its reader and its writer. */
#ifndef NVS_FORMAT_H
#define NVS_FORMAT_H

#include "nvs.h"

enum { PAGE = 4096, ENTRY = 32, ENTRIES = 126, BITMAP = 32, FIRST_ENTRY = 64 };
enum { ENTRY_ERASED = 0, ENTRY_WRITTEN = 2, ENTRY_EMPTY = 3 };
enum {
  TYPE_U8 = 0x01, TYPE_U32 = 0x04, TYPE_SIGNED = 0x10, TYPE_STRING = 0x21,
  TYPE_BLOB_V1 = 0x41, TYPE_BLOB_DATA = 0x42, TYPE_BLOB_INDEX = 0x48,
};

#define PAGE_EMPTY 0xffffffffu
#define PAGE_ACTIVE 0xfffffffeu
#define PAGE_FULL 0xfffffffcu
#define PAGE_FREEING 0xfffffff8u
#define PAGE_VERSION_2 0xfeu

#define ANY_INTEGER TYPE_SIGNED /* as the type of a wanted entry */
#define ANY_CHUNK (-1)
#define NAMESPACES 0 /* the namespace that holds the names and numbers of the others */

/* One entry of a page, by its place: state in the bitmap, header of 24 bytes, 8 bytes of data. */
struct nvs_cursor {
  size_t page;
  unsigned entry;
};

struct nvs_wanted {
  uint8_t space;
  const char *key;
  uint8_t type;
  int chunk;
};

static inline const uint8_t *nvs_page(const struct nvs *nvs, size_t page) { return nvs->data + page * PAGE; }

static inline const uint8_t *nvs_entry(const uint8_t *page, unsigned entry) {
  return page + FIRST_ENTRY + entry * ENTRY;
}

static inline unsigned nvs_entry_state(const uint8_t *page, unsigned entry) {
  return page[BITMAP + entry / 4] >> (entry % 4 * 2) & 3;
}

/* Of an entry's header and data, as its bytes 4 to 7 must say. */
static inline uint32_t nvs_entry_crc(const uint8_t *entry) {
  return nvs_crc(entry + 8, 24, nvs_crc(entry, 4, NVS_CRC_START));
}

/* Step to the first written entry at or after `at`; NULL at the end. */
const uint8_t *nvs_entry_from(const struct nvs *nvs, struct nvs_cursor *at);

bool nvs_matches(const uint8_t *entry, const struct nvs_wanted *wanted);

/* The entry written last, by page sequence number and then by place: a reset in the middle of an update leaves
 * the old value beside the new one. */
const uint8_t *nvs_find(const struct nvs *nvs, const struct nvs_wanted *wanted);

#endif
