/* Appends to an NVS partition in the order of ESP-IDF, which is safe against a loss of power at every word: first the
 * entry, then the mark that it is written, last the mark that the entry it replaces is erased. */
#include "hal.h"
#include "nvs_format.h"

enum { MAX_SPACES = 254, KEY_BYTES = 16 };

static const char FLASH_ERROR[] = "flash error";

static bool write(const uint8_t *place, const void *data, size_t length) {
  return hal_flash_write((uint32_t)(place - hal_flash), data, length);
}

/* States only lose bits: empty (3) to written (2) to erased (0). */
static bool mark(const uint8_t *page, unsigned entry, unsigned state) {
  const uint8_t *byte = page + BITMAP + entry / 4;
  unsigned shift = entry % 4 * 2;
  uint8_t value = (uint8_t)(*byte & (~(3u << shift) | state << shift));
  return write(byte, &value, 1);
}

static bool is_blank(const uint8_t *data, size_t length) {
  while (length--) {
    if (*data++ != 0xff) {
      return false;
    }
  }
  return true;
}

/* The page that is being filled: the active one that was begun last; -1 if there is none. */
static int active_page(const struct nvs *nvs) {
  int found = -1;
  for (size_t page = 0; page < nvs->size / PAGE; page++) {
    if (le32(nvs_page(nvs, page)) == PAGE_ACTIVE &&
        (found < 0 || le32(nvs_page(nvs, page) + 4) > le32(nvs_page(nvs, (size_t)found) + 4))) {
      found = (int)page;
    }
  }
  return found;
}

static uint32_t next_sequence(const struct nvs *nvs) {
  uint32_t next = 0;
  for (size_t page = 0; page < nvs->size / PAGE; page++) {
    uint32_t sequence = le32(nvs_page(nvs, page) + 4);
    if (le32(nvs_page(nvs, page)) != PAGE_EMPTY && sequence >= next) {
      next = sequence + 1;
    }
  }
  return next;
}

/* Begin a page. ESP-IDF wants one that stays empty, to collect garbage; false also when only that is left. */
static bool begin_page(struct nvs *nvs) {
  const uint8_t *page = NULL;
  unsigned empty = 0;
  for (size_t i = nvs->size / PAGE; i-- > 0;) {
    if (le32(nvs_page(nvs, i)) == PAGE_EMPTY) {
      page = nvs_page(nvs, i);
      empty++;
    }
  }
  if (empty < 2) {
    return false;
  }
  uint8_t header[ENTRY];
  memset(header, 0xff, sizeof header);
  put_le32(header + 4, next_sequence(nvs));
  header[8] = PAGE_VERSION_2;
  put_le32(header + 28, nvs_crc(header + 4, 24, NVS_CRC_START));
  uint8_t state[4];
  put_le32(state, PAGE_ACTIVE);
  nvs->state = NVS_GOOD;
  return write(page + 4, header + 4, sizeof header - 4) && write(page, state, sizeof state);
}

/* The first entry with nothing but unused ones from there on; ENTRIES when the page is full. What a cut-off write left
 * in an unused entry is marked as erased. */
static unsigned free_entry(const uint8_t *page) {
  unsigned entry = ENTRIES;
  while (entry > 0 && nvs_entry_state(page, entry - 1) == ENTRY_EMPTY) {
    entry--;
  }
  while (entry < ENTRIES && !is_blank(nvs_entry(page, entry), ENTRY)) {
    if (!mark(page, entry++, ENTRY_ERASED)) {
      return ENTRIES;
    }
  }
  return entry;
}

static bool find_room(struct nvs *nvs, struct nvs_cursor *room) {
  for (int tries = 0; tries < 2; tries++) {
    int page = active_page(nvs);
    if (page >= 0) {
      *room = (struct nvs_cursor){(size_t)page, free_entry(nvs_page(nvs, (size_t)page))};
      if (room->entry < ENTRIES) {
        return true;
      }
    }
    if (!begin_page(nvs)) {
      return false;
    }
    if (page >= 0) {
      uint8_t full[4];
      put_le32(full, PAGE_FULL);
      write(nvs_page(nvs, (size_t)page), full, sizeof full);
    }
  }
  return false;
}

static const char *append(struct nvs *nvs, uint8_t space, const char *key, uint8_t type, uint32_t value) {
  struct nvs_cursor room;
  if (!find_room(nvs, &room)) {
    return "no room";
  }
  uint8_t entry[ENTRY];
  memset(entry, 0xff, sizeof entry);
  entry[0] = space;
  entry[1] = type;
  entry[2] = 1;
  memset(entry + 8, 0, KEY_BYTES);
  memcpy(entry + 8, key, strlen(key));
  if (type == TYPE_U32) {
    put_le32(entry + 24, value);
  } else {
    entry[24] = (uint8_t)value;
  }
  put_le32(entry + 4, nvs_entry_crc(entry));
  const uint8_t *page = nvs_page(nvs, room.page);
  bool good = write(nvs_entry(page, room.entry), entry, sizeof entry) && mark(page, room.entry, ENTRY_WRITTEN);
  return good ? NULL : FLASH_ERROR;
}

/* The number of a namespace that is in use, or the next one that is not. */
static uint8_t space_number(const struct nvs *nvs, const char *space, bool *known) {
  struct nvs_cursor at = {0, 0};
  struct nvs_wanted wanted = {NAMESPACES, space, TYPE_U8, ANY_CHUNK};
  const uint8_t *entry = nvs_find(nvs, &wanted);
  *known = entry != NULL;
  if (entry) {
    return entry[24];
  }
  uint8_t highest = 0;
  for (at = (struct nvs_cursor){0, 0}; (entry = nvs_entry_from(nvs, &at)) != NULL; at.entry += entry[2]) {
    if (entry[0] == NAMESPACES && entry[24] > highest) {
      highest = entry[24];
    }
  }
  return (uint8_t)(highest < 255 ? highest + 1 : 255);
}

/* Also those that a cut-off write left beside their successor. */
static bool erase_older(const struct nvs *nvs, const struct nvs_wanted *wanted) {
  bool good = true;
  const uint8_t *entry, *newest = nvs_find(nvs, wanted);
  for (struct nvs_cursor at = {0, 0}; (entry = nvs_entry_from(nvs, &at)) != NULL; at.entry += entry[2]) {
    if (entry != newest && nvs_matches(entry, wanted)) {
      good &= mark(nvs_page(nvs, at.page), at.entry, ENTRY_ERASED);
    }
  }
  return good;
}

const char *nvs_put_uint(struct nvs *nvs, const char *space, const char *key, uint32_t value) {
  if (nvs->state == NVS_DAMAGED) {
    return "NVS is damaged";
  }
  bool known;
  uint8_t number = space_number(nvs, space, &known);
  const char *problem = number > MAX_SPACES ? "too many namespaces" : NULL;
  if (!known && !problem) {
    problem = append(nvs, NAMESPACES, space, TYPE_U8, number);
  }
  problem = problem ? problem : append(nvs, number, key, TYPE_U32, value);
  struct nvs_wanted wanted = {number, key, TYPE_U32, ANY_CHUNK};
  return problem || erase_older(nvs, &wanted) ? problem : FLASH_ERROR;
}
