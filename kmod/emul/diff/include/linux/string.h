/* SPDX-License-Identifier: GPL-2.0 */
/* What the emulator's pure files use of the kernel's headers, for user space. */
#include <string.h>
