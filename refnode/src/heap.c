#include "heap.h"

#include "log.h"

/* Every block, used or free, starts with this header; blocks follow each other without gaps. */
struct block {
  uint32_t size; /* with the header, a multiple of 8 */
  uint32_t state;
};

#define STATE_FREE 0x46524545u
#define STATE_USED 0x55534544u

static struct block *base;
static struct block *end;
static size_t total_bytes, free_bytes, low_water;

volatile uint32_t heap_limit = UINT32_MAX;

static struct block *following(struct block *block) {
  return (struct block *)(void *)((uint8_t *)block + block->size);
}

void heap_init(uint8_t *start, size_t size) {
  size_t lost = -(uintptr_t)start & 7u;
  base = (struct block *)(void *)(start + lost);
  size = (size - lost) & ~(size_t)7;
  *base = (struct block){.size = (uint32_t)size, .state = STATE_FREE};
  end = following(base);
  total_bytes = free_bytes = low_water = size;
}

/* Join the free blocks that follow this free one. Done while searching, so that freeing stays trivial. */
static void coalesce(struct block *block) {
  for (struct block *next = following(block); next < end && next->state == STATE_FREE; next = following(block)) {
    block->size += next->size;
  }
}

static void split(struct block *block, uint32_t size) {
  if (block->size - size >= 2 * sizeof(struct block)) {
    struct block *rest = (struct block *)(void *)((uint8_t *)block + size);
    *rest = (struct block){.size = block->size - size, .state = STATE_FREE};
    block->size = size;
  }
}

void *heap_allocate(size_t size) {
  uint32_t needed = (uint32_t)((size + sizeof(struct block) + 7) & ~(size_t)7);
  if (size < free_bytes && total_bytes - free_bytes + needed <= heap_limit) { /* and so `needed` has not wrapped */
    for (struct block *block = base; block < end; block = following(block)) {
      if (block->state != STATE_FREE) {
        continue;
      }
      coalesce(block);
      if (block->size >= needed) {
        split(block, needed);
        block->state = STATE_USED;
        free_bytes -= block->size;
        low_water = free_bytes < low_water ? free_bytes : low_water;
        return block + 1;
      }
    }
  }
  LOG_ERROR("heap", "HEAP_ERROR: out of memory, malloc(%u) failed", (unsigned)size);
  return NULL;
}

void heap_free(void *memory) {
  if (!memory) {
    return;
  }
  struct block *block = (struct block *)memory - 1;
  if (block < base || block >= end || block->state != STATE_USED) {
    LOG_ERROR("heap", "CORRUPT HEAP: bad block at 0x%08x", (unsigned)(uintptr_t)memory);
    return;
  }
  block->state = STATE_FREE;
  free_bytes += block->size;
}

size_t heap_free_bytes(void) { return free_bytes; }

size_t heap_low_water(void) { return low_water; }
