#include "fmath.h"

/* Taylor series of sin(2 pi x) for |x| <= 1/4 turn, up to the 11th power: truncation error 6e-8. */
static float sin_quarter(float x) {
  float t = x * (2.0f * FM_PI);
  float q = t * t;
  return t * (1.0f + q * (-1.6666667e-1f + q * (8.3333333e-3f + q * (-1.9841270e-4f +
                      q * (2.7557319e-6f + q * -2.5052108e-8f)))));
}

float fm_sin_turns(float turns) {
  float x = turns - (float)(int32_t)turns; /* -1..1 */
  if (x > 0.5f) {
    x -= 1.0f;
  } else if (x < -0.5f) {
    x += 1.0f;
  }
  if (x > 0.25f) {
    x = 0.5f - x;
  } else if (x < -0.25f) {
    x = -0.5f - x;
  }
  return sin_quarter(x);
}

float fm_cos_turns(float turns) { return fm_sin_turns(turns + 0.25f); }

/* Minimax polynomial of atan on 0..1 (Abramowitz and Stegun 4.4.49). */
static float atan_unit(float x) {
  float q = x * x;
  return x * (1.0f + q * (-0.3333314528f + q * (0.1999355085f + q * (-0.1420889944f + q * (0.1065626393f +
              q * (-0.0752896400f + q * (0.0429096138f + q * (-0.0161657367f + q * 0.0028662257f))))))));
}

float fm_atan2(float y, float x) {
  float ay = fm_abs(y), ax = fm_abs(x);
  if (ax + ay == 0.0f) {
    return 0.0f;
  }
  float angle = ay <= ax ? atan_unit(ay / ax) : 0.5f * FM_PI - atan_unit(ax / ay);
  if (x < 0.0f) {
    angle = FM_PI - angle;
  }
  return y < 0.0f ? -angle : angle;
}

float fm_sqrt(float value) {
  if (!(value > 0.0f)) {
    return 0.0f;
  }
  union {
    float f;
    uint32_t u;
  } guess = {.f = value};
  guess.u = (guess.u >> 1) + 0x1fbb4f2eu; /* halve the exponent: within 4 % */
  for (int i = 0; i < 3; i++) {
    guess.f = 0.5f * (guess.f + value / guess.f);
  }
  return guess.f;
}

float fm_divide_by_196608(int32_t n) {
  uint32_t magnitude = n < 0 ? 0u - (uint32_t)n : (uint32_t)n;
  uint32_t zeros = (uint32_t)__builtin_clz(magnitude);
  uint32_t dividend = magnitude << zeros >> 6; /* two bits more than a float has, so that a third of it fills one */
  uint32_t exponent = 139 - zeros;
  if (dividend >= 3u << 24) {
    dividend >>= 1;
    exponent++;
  }
  union {
    uint32_t u;
    float f;
  } bits = {.u = (n < 0 ? 1u << 31 : 0) + (exponent << 23) + (dividend + 1) / 3}; /* a third is never halfway */
  return bits.f;
}
