/* SPDX-License-Identifier: GPL-2.0 */
/* Messages to the user, apart from the guest's console. */
#ifndef DROSTECTL_SAY_H
#define DROSTECTL_SAY_H

/**
 * say() - print one "drostectl: ..." line on stderr
 * @fmt: printf format, without a newline
 */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * say_more() - print one indented line that belongs to the last say()
 * @fmt: printf format, without a newline
 */
void say_more(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * say_lacks() - as say(), for a reason that may end in a list behind "lacks: "
 * @before: text before it
 * @why: the reason; what its list has between "; " gets a line each
 */
void say_lacks(const char *before, const char *why);

/**
 * say_newline() - choose the line ending of say()
 * @newline: "\n", or "\r\n" while the terminal is raw
 */
void say_newline(const char *newline);

#endif
