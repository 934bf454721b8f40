/* SPDX-License-Identifier: GPL-2.0 */
/* What t_diff's user space and its guest know of each other. */
#ifndef DIFF_RUN_H
#define DIFF_RUN_H

void diff_guest(void);	/* sets up, then g_sync()s once and after every batch in DIFF_SHARED */
void diff_loop(void);	/* goes on at diff_shared.cur */

#endif
