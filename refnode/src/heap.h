/* A small first-fit heap, so that leaks and exhaustion are real. */
#ifndef HEAP_H
#define HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Own the region; its start is rounded up to 8 bytes. */
void heap_init(uint8_t *start, size_t size);

/* 8-byte aligned memory, or NULL, which is also logged as an error. */
void *heap_allocate(size_t size);

/* Bytes that may be in use, with what the heap itself needs of them. It is written from outside, through its address
 * in the symbol table: what is asked for beyond it is not there. Nothing limits by default. */
extern volatile uint32_t heap_limit;

/* NULL is allowed. A block that is not one of ours is reported and left alone. */
void heap_free(void *block);

size_t heap_free_bytes(void);

/* The least that heap_free_bytes() ever was. */
size_t heap_low_water(void);

#endif
