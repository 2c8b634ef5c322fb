/* Single-precision functions with the same result on every target: only + - * / in a fixed order,
 * compiled without contraction into fused operations. */
#ifndef FMATH_H
#define FMATH_H

#include <stdint.h>

#define FM_PI 3.14159265f

/* Sine and cosine of a full turn times `turns` (any finite value up to a few thousand). Error < 1e-6. */
float fm_sin_turns(float turns);
float fm_cos_turns(float turns);

/* Angle in radians, -pi..pi; 0 for the origin. Error < 1e-5. */
float fm_atan2(float y, float x);

/* Square root; 0 for what is not positive. Relative error < 1e-6. */
float fm_sqrt(float value);

static inline float fm_abs(float value) { return value < 0.0f ? -value : value; }

/* (float)n / 196608.0f for odd n between -65535 and 65535, in integers: the same bits, for processors without an FPU,
 * which would spend a quarter of their work on this one division. */
float fm_divide_by_196608(int32_t n);

#endif
