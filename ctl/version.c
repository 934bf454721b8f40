// SPDX-License-Identifier: GPL-2.0
/* The version of this program, which the Makefile passes. */
#include "version.h"

#ifndef DROSTE_VERSION
#define DROSTE_VERSION "unknown"
#endif

const char drostectl_version[] = DROSTE_VERSION;
