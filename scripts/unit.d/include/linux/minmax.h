/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_MINMAX_H
#define UNIT_LINUX_MINMAX_H

#define min(a, b)	({ typeof(a) a__ = (a); typeof(b) b__ = (b); a__ < b__ ? a__ : b__; })
#define max(a, b)	({ typeof(a) a__ = (a); typeof(b) b__ = (b); a__ > b__ ? a__ : b__; })
#define min_t(t, a, b)	((t)(a) < (t)(b) ? (t)(a) : (t)(b))
#define max_t(t, a, b)	((t)(a) > (t)(b) ? (t)(a) : (t)(b))
#define max3(a, b, c)	max(a, max(b, c))
#define min3(a, b, c)	((a) < (b) ? (a) < (c) ? (a) : (c) : (b) < (c) ? (b) : (c))
#define clamp(x, low, high)	((x) < (low) ? (low) : (x) > (high) ? (high) : (x))
#define swap(a, b)	do { typeof(a) a__ = (a); (a) = (b); (b) = a__; } while (0)

#endif
