#include "base.h"

#ifdef __ARM_FEATURE_UNALIGNED
#define ANY_ALIGNMENT 1
typedef uint32_t __attribute__((aligned(1))) word;
#else
#define ANY_ALIGNMENT 0
typedef uint32_t word;
#endif

void *memcpy(void *restrict target, const void *restrict source, size_t length) {
  uint8_t *to = target;
  const uint8_t *from = source;
  if (ANY_ALIGNMENT || (((uintptr_t)to | (uintptr_t)from) & 3) == 0) {
    for (; length >= 4; length -= 4, to += 4, from += 4) {
      *(word *)(void *)to = *(const word *)(const void *)from;
    }
  }
  while (length--) {
    *to++ = *from++;
  }
  return target;
}

void *memmove(void *target, const void *source, size_t length) {
  uint8_t *to = target;
  const uint8_t *from = source;
  if (to <= from) {
    while (length--) {
      *to++ = *from++;
    }
  } else {
    while (length--) {
      to[length] = from[length];
    }
  }
  return target;
}

void *memset(void *target, int value, size_t length) {
  uint8_t *to = target;
  while (length--) {
    *to++ = (uint8_t)value;
  }
  return target;
}

int memcmp(const void *left, const void *right, size_t length) {
  const uint8_t *a = left, *b = right;
  for (; length; length--, a++, b++) {
    if (*a != *b) {
      return *a - *b;
    }
  }
  return 0;
}

size_t strlen(const char *text) {
  size_t length = 0;
  while (text[length]) {
    length++;
  }
  return length;
}

int strcmp(const char *left, const char *right) {
  while (*left && *left == *right) {
    left++, right++;
  }
  return (uint8_t)*left - (uint8_t)*right;
}
