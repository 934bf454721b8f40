// SPDX-License-Identifier: GPL-2.0
/* droste_kunit.ko: the KUnit suites of this directory and the pure files that they test; independent of droste.ko. */
#include <linux/module.h>

MODULE_DESCRIPTION("KUnit tests of Droste's pure parts");
MODULE_LICENSE("GPL");
