#include "nvs_format.h"

enum { HEADER_PLACE = 999 };

static const uint8_t *entry_at(const struct nvs *nvs, struct nvs_cursor at) {
  return nvs_entry(nvs_page(nvs, at.page), at.entry);
}

uint32_t nvs_crc(const uint8_t *data, size_t length, uint32_t crc) {
  static const uint32_t nibbles[16] = {
      0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
      0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
  };
  crc = ~crc;
  while (length--) {
    crc ^= *data++;
    crc = crc >> 4 ^ nibbles[crc & 15];
    crc = crc >> 4 ^ nibbles[crc & 15];
  }
  return ~crc;
}

static uint32_t place_number(struct nvs_cursor at) { return (uint32_t)at.page * 1000u + at.entry; }

static void note_torn(struct nvs *nvs, struct nvs_cursor at) {
  nvs->torn++;
  nvs->torn_place = place_number(at);
}

static bool damaged(struct nvs *nvs, struct nvs_cursor at, const char *reason) {
  nvs->state = NVS_DAMAGED;
  nvs->reason = reason;
  nvs->place = place_number(at);
  return false;
}

static bool is_primitive(uint8_t type) {
  uint8_t width = type & 0x0f;
  return (type & ~(TYPE_SIGNED | 0x0f)) == 0 && (width == 1 || width == 2 || width == 4 || width == 8);
}

static bool has_payload(uint8_t type) {
  return type == TYPE_STRING || type == TYPE_BLOB_V1 || type == TYPE_BLOB_DATA;
}

/* Entries that follow the header entry hold the payload; the last one may be partly unused. */
static bool check_payload(struct nvs *nvs, struct nvs_cursor at, const uint8_t *entry) {
  size_t size = le16(entry + 24), room = (entry[2] - 1u) * ENTRY;
  if (size > room || size + ENTRY <= room) {
    return damaged(nvs, at, "size of a value");
  }
  if (nvs_crc(entry + ENTRY, size, NVS_CRC_START) != le32(entry + 28)) {
    return damaged(nvs, at, "CRC of a value");
  }
  if (entry[1] == TYPE_STRING && (size == 0 || entry[ENTRY + size - 1] != 0)) {
    return damaged(nvs, at, "unterminated string");
  }
  return true;
}

static bool check_entry(struct nvs *nvs, struct nvs_cursor at) {
  const uint8_t *page = nvs_page(nvs, at.page), *entry = entry_at(nvs, at);
  uint8_t type = entry[1], span = entry[2];
  if (nvs_entry_crc(entry) != le32(entry + 4)) {
    return damaged(nvs, at, "CRC of an entry");
  }
  if (span == 0 || at.entry + span > ENTRIES) {
    return damaged(nvs, at, "span of an entry");
  }
  for (unsigned i = 1; i < span; i++) {
    if (nvs_entry_state(page, at.entry + i) != ENTRY_WRITTEN) {
      return damaged(nvs, at, "entry state in a span");
    }
  }
  if (entry[23] != 0) {
    return damaged(nvs, at, "unterminated key");
  }
  if (has_payload(type)) {
    return check_payload(nvs, at, entry);
  }
  return ((is_primitive(type) || type == TYPE_BLOB_INDEX) && span == 1) || damaged(nvs, at, "type of an entry");
}

static bool check_empty_page(struct nvs *nvs, size_t number) {
  const uint8_t *page = nvs_page(nvs, number);
  struct nvs_cursor at = {number, HEADER_PLACE};
  for (size_t i = 0; i < PAGE; i++) {
    if (page[i] == 0xff) {
      continue;
    }
    if (i >= BITMAP) {
      return damaged(nvs, at, "data in an empty page");
    }
    note_torn(nvs, at); /* the page was about to be begun: its state is written last */
    i = BITMAP - 1;
  }
  return true;
}

static bool check_page_header(struct nvs *nvs, size_t number) {
  const uint8_t *page = nvs_page(nvs, number);
  struct nvs_cursor at = {number, HEADER_PLACE};
  uint32_t state = le32(page);
  if (state != PAGE_ACTIVE && state != PAGE_FULL && state != PAGE_FREEING) {
    return damaged(nvs, at, "page state");
  }
  if (nvs_crc(page + 4, 24, NVS_CRC_START) != le32(page + 28)) {
    return damaged(nvs, at, "CRC of a page header");
  }
  return page[8] == 0xfe || page[8] == 0xff || damaged(nvs, at, "page version");
}

/* A write that was cut off leaves bytes in an entry that is still marked as empty. */
static void look_for_torn(struct nvs *nvs, struct nvs_cursor at) {
  const uint8_t *entry = entry_at(nvs, at);
  for (unsigned i = 0; i < ENTRY; i += 4) {
    if (le32(entry + i) != UINT32_MAX) {
      note_torn(nvs, at);
      return;
    }
  }
}

static bool check_page(struct nvs *nvs, size_t number) {
  if (!check_page_header(nvs, number)) {
    return false;
  }
  const uint8_t *page = nvs_page(nvs, number);
  struct nvs_cursor at = {number, 0};
  while (at.entry < ENTRIES) {
    unsigned state = nvs_entry_state(page, at.entry);
    if (state == ENTRY_EMPTY) {
      look_for_torn(nvs, at);
      at.entry++;
    } else if (state == ENTRY_ERASED) {
      at.entry++;
    } else if (state != ENTRY_WRITTEN) {
      return damaged(nvs, at, "entry state");
    } else if (!check_entry(nvs, at)) {
      return false;
    } else {
      at.entry += entry_at(nvs, at)[2];
    }
  }
  return true;
}

const uint8_t *nvs_entry_from(const struct nvs *nvs, struct nvs_cursor *at) {
  for (; at->page < nvs->size / PAGE; at->page++, at->entry = 0) {
    const uint8_t *page = nvs_page(nvs, at->page);
    if (le32(page) == PAGE_EMPTY) {
      continue;
    }
    for (; at->entry < ENTRIES; at->entry++) {
      if (nvs_entry_state(page, at->entry) == ENTRY_WRITTEN) {
        return entry_at(nvs, *at);
      }
    }
  }
  return NULL;
}

bool nvs_matches(const uint8_t *entry, const struct nvs_wanted *wanted) {
  bool type = wanted->type == ANY_INTEGER ? is_primitive(entry[1]) : entry[1] == wanted->type;
  return type && entry[0] == wanted->space && (wanted->chunk == ANY_CHUNK || entry[3] == wanted->chunk) &&
         strcmp((const char *)entry + 8, wanted->key) == 0;
}

const uint8_t *nvs_find(const struct nvs *nvs, const struct nvs_wanted *wanted) {
  const uint8_t *found = NULL, *entry;
  uint32_t found_sequence = 0;
  struct nvs_cursor at = {0, 0};
  while ((entry = nvs_entry_from(nvs, &at)) != NULL) {
    uint32_t sequence = le32(nvs_page(nvs, at.page) + 4);
    if (nvs_matches(entry, wanted) && (!found || sequence >= found_sequence)) {
      found = entry;
      found_sequence = sequence;
    }
    at.entry += entry[2];
  }
  return found;
}

/* Gather the chunks of a version 2 blob; `value` may be NULL to check that they are all there. */
static bool gather(const struct nvs *nvs, const uint8_t *index, uint8_t *value) {
  size_t total = 0, size = le32(index + 24);
  for (int i = 0; i < index[28]; i++) {
    struct nvs_wanted wanted = {index[0], (const char *)index + 8, TYPE_BLOB_DATA, index[29] + i};
    const uint8_t *chunk = nvs_find(nvs, &wanted);
    if (!chunk || total + le16(chunk + 24) > size) {
      return false;
    }
    if (value) {
      memcpy(value + total, chunk + ENTRY, le16(chunk + 24));
    }
    total += le16(chunk + 24);
  }
  return total == size;
}

static bool check_blobs(struct nvs *nvs) {
  const uint8_t *entry;
  struct nvs_cursor at = {0, 0};
  while ((entry = nvs_entry_from(nvs, &at)) != NULL) {
    if (entry[1] == TYPE_BLOB_INDEX && !gather(nvs, entry, NULL)) {
      return damaged(nvs, at, "incomplete blob");
    }
    at.entry += entry[2];
  }
  return true;
}

void nvs_open(struct nvs *nvs, const uint8_t *data, size_t size) {
  *nvs = (struct nvs){.data = data, .size = size, .state = NVS_EMPTY};
  if (size == 0 || size % PAGE) {
    damaged(nvs, (struct nvs_cursor){0, HEADER_PLACE}, "partition size");
    return;
  }
  for (size_t page = 0; page < size / PAGE; page++) {
    bool empty = le32(nvs_page(nvs, page)) == PAGE_EMPTY;
    if (!(empty ? check_empty_page(nvs, page) : check_page(nvs, page))) {
      return;
    }
    nvs->state = empty ? nvs->state : NVS_GOOD;
  }
  check_blobs(nvs);
}

static const uint8_t *find_in(const struct nvs *nvs, const char *space, const char *key, uint8_t type) {
  if (nvs->state != NVS_GOOD) {
    return NULL;
  }
  struct nvs_wanted namespace = {NAMESPACES, space, TYPE_U8, ANY_CHUNK};
  const uint8_t *entry = nvs_find(nvs, &namespace);
  if (!entry) {
    return NULL;
  }
  struct nvs_wanted wanted = {entry[24], key, type, ANY_CHUNK};
  return nvs_find(nvs, &wanted);
}

bool nvs_get_uint(const struct nvs *nvs, const char *space, const char *key, uint32_t max, uint32_t *value) {
  const uint8_t *entry = find_in(nvs, space, key, ANY_INTEGER);
  if (!entry) {
    return false;
  }
  unsigned width = entry[1] & 0x0f;
  uint64_t raw = le64(entry + 24);
  if (width < 8) {
    raw &= ((uint64_t)1 << 8 * width) - 1;
  }
  bool negative = (entry[1] & TYPE_SIGNED) && raw >> (8 * width - 1);
  if (negative || raw > max) {
    return false;
  }
  *value = (uint32_t)raw;
  return true;
}

bool nvs_get_string(const struct nvs *nvs, const char *space, const char *key, char *value, size_t capacity) {
  const uint8_t *entry = find_in(nvs, space, key, TYPE_STRING);
  if (!entry || le16(entry + 24) > capacity) {
    return false;
  }
  memcpy(value, entry + ENTRY, le16(entry + 24));
  return true;
}

bool nvs_get_blob(const struct nvs *nvs, const char *space, const char *key, uint8_t *value, size_t capacity,
                  size_t *length) {
  const uint8_t *entry = find_in(nvs, space, key, TYPE_BLOB_INDEX);
  if (entry) {
    *length = le32(entry + 24);
    return *length <= capacity && gather(nvs, entry, value);
  }
  entry = find_in(nvs, space, key, TYPE_BLOB_V1);
  if (!entry || le16(entry + 24) > capacity) {
    return false;
  }
  *length = le16(entry + 24);
  memcpy(value, entry + ENTRY, *length);
  return true;
}
