/* SPDX-License-Identifier: GPL-2.0 */
#include "../../../../kmod/emul/diff/include/asm/trapnr.h"
