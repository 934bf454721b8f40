/* SPDX-License-Identifier: GPL-2.0 */
/* What differs between kernel versions: the only file that names them. */
#ifndef DROSTE_COMPAT_H
#define DROSTE_COMPAT_H

#include <linux/version.h>

#endif
