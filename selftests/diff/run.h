/* SPDX-License-Identifier: GPL-2.0 */
/* Guest code that t_diff starts. */
#ifndef DIFF_RUN_H
#define DIFF_RUN_H

void diff_guest(void);	/* sets up and calls g_sync() once, then after every batch in DIFF_SHARED */
void diff_loop(void);	/* continues at diff_shared.cur */

#endif
