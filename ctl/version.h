/* SPDX-License-Identifier: GPL-2.0 */
/* The version of this program. */
#ifndef DROSTECTL_VERSION_H
#define DROSTECTL_VERSION_H

/* From "git describe", else from the file VERSION, else "unknown". */
extern const char drostectl_version[];

#endif
