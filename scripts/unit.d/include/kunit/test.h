/* SPDX-License-Identifier: GPL-2.0 */
/* The part of KUnit that the suites of kmod/test/ use, for user space. main.c runs the suites. */
#ifndef UNIT_KUNIT_TEST_H
#define UNIT_KUNIT_TEST_H

#include <setjmp.h>
#include <string.h>
#include <linux/kernel.h>
#include <linux/types.h>

/* A running case. */
struct kunit {
	const char *name;
	void *priv;
	bool failed;
	jmp_buf abort;		/* where a failed assertion goes */
	struct kunit_memory *memory;
};

struct kunit_case {
	void (*run_case)(struct kunit *test);
	const char *name;
};

struct kunit_suite {
	const char *name;
	int (*suite_init)(struct kunit_suite *suite);
	void (*suite_exit)(struct kunit_suite *suite);
	int (*init)(struct kunit *test);
	void (*exit)(struct kunit *test);
	struct kunit_case *test_cases;
};

#define KUNIT_CASE(function)	{ .run_case = function, .name = #function }

/* The linker collects the suites of all files in one section. */
#define kunit_test_suites(...) \
	static struct kunit_suite *kunit_suites_of_file[] \
	__attribute__((used, section("kunit_suites"))) = { __VA_ARGS__ }

/* Memory that is zero, and is freed at the end of the case. */
void *kunit_kcalloc(struct kunit *test, size_t n, size_t size, gfp_t gfp);
#define kunit_kzalloc(test, size, gfp)	kunit_kcalloc(test, 1, size, gfp)

/* Reports a failure. A fatal one ends the case. */
void kunit_fail(struct kunit *test, const char *file, int line, bool fatal, const char *expected, const char *values,
		const char *format, ...) __attribute__((format(printf, 7, 8)));
/* Formats the values of both sides of a comparison, in a static buffer. */
const char *kunit_values(unsigned long left, unsigned long right);

#define KUNIT_FAIL_(test, fatal, expected, values, ...) \
	kunit_fail(test, __FILE__, __LINE__, fatal, expected, values, "" __VA_ARGS__)

#define KUNIT_BOOL_(test, fatal, condition, expected, ...) do { \
	if (!(condition)) \
		KUNIT_FAIL_(test, fatal, expected, NULL, ##__VA_ARGS__); \
} while (0)

#define KUNIT_COMPARE_(test, fatal, left, op, right, ...) do { \
	typeof(left) left__ = (left); \
	typeof(right) right__ = (right); \
	if (!(left__ op right__)) \
		KUNIT_FAIL_(test, fatal, #left " " #op " " #right, \
			    kunit_values((unsigned long)left__, (unsigned long)right__), ##__VA_ARGS__); \
} while (0)

#define KUNIT_EXPECT_TRUE_MSG(test, c, ...)	KUNIT_BOOL_(test, false, c, #c " is true", ##__VA_ARGS__)
#define KUNIT_EXPECT_FALSE_MSG(test, c, ...)	KUNIT_BOOL_(test, false, !(c), #c " is false", ##__VA_ARGS__)
#define KUNIT_EXPECT_NULL_MSG(test, p, ...)	KUNIT_BOOL_(test, false, !(p), #p " is NULL", ##__VA_ARGS__)
#define KUNIT_EXPECT_NOT_NULL_MSG(test, p, ...)	KUNIT_BOOL_(test, false, p, #p " is not NULL", ##__VA_ARGS__)
#define KUNIT_EXPECT_EQ_MSG(test, l, r, ...)	KUNIT_COMPARE_(test, false, l, ==, r, ##__VA_ARGS__)
#define KUNIT_EXPECT_NE_MSG(test, l, r, ...)	KUNIT_COMPARE_(test, false, l, !=, r, ##__VA_ARGS__)
#define KUNIT_EXPECT_LT_MSG(test, l, r, ...)	KUNIT_COMPARE_(test, false, l, <, r, ##__VA_ARGS__)
#define KUNIT_EXPECT_LE_MSG(test, l, r, ...)	KUNIT_COMPARE_(test, false, l, <=, r, ##__VA_ARGS__)
#define KUNIT_EXPECT_GT_MSG(test, l, r, ...)	KUNIT_COMPARE_(test, false, l, >, r, ##__VA_ARGS__)
#define KUNIT_EXPECT_GE_MSG(test, l, r, ...)	KUNIT_COMPARE_(test, false, l, >=, r, ##__VA_ARGS__)
#define KUNIT_EXPECT_STREQ_MSG(test, l, r, ...)	KUNIT_BOOL_(test, false, !strcmp(l, r), #l " is " #r, ##__VA_ARGS__)
#define KUNIT_EXPECT_STRNEQ_MSG(test, l, r, ...) KUNIT_BOOL_(test, false, strcmp(l, r), #l " is not " #r, ##__VA_ARGS__)
#define KUNIT_EXPECT_PTR_EQ_MSG			KUNIT_EXPECT_EQ_MSG
#define KUNIT_EXPECT_PTR_NE_MSG			KUNIT_EXPECT_NE_MSG

#define KUNIT_EXPECT_TRUE(test, c)		KUNIT_EXPECT_TRUE_MSG(test, c)
#define KUNIT_EXPECT_FALSE(test, c)		KUNIT_EXPECT_FALSE_MSG(test, c)
#define KUNIT_EXPECT_NULL(test, p)		KUNIT_EXPECT_NULL_MSG(test, p)
#define KUNIT_EXPECT_NOT_NULL(test, p)		KUNIT_EXPECT_NOT_NULL_MSG(test, p)
#define KUNIT_EXPECT_EQ(test, l, r)		KUNIT_EXPECT_EQ_MSG(test, l, r)
#define KUNIT_EXPECT_NE(test, l, r)		KUNIT_EXPECT_NE_MSG(test, l, r)
#define KUNIT_EXPECT_LT(test, l, r)		KUNIT_EXPECT_LT_MSG(test, l, r)
#define KUNIT_EXPECT_LE(test, l, r)		KUNIT_EXPECT_LE_MSG(test, l, r)
#define KUNIT_EXPECT_GT(test, l, r)		KUNIT_EXPECT_GT_MSG(test, l, r)
#define KUNIT_EXPECT_GE(test, l, r)		KUNIT_EXPECT_GE_MSG(test, l, r)
#define KUNIT_EXPECT_STREQ(test, l, r)		KUNIT_EXPECT_STREQ_MSG(test, l, r)
#define KUNIT_EXPECT_STRNEQ(test, l, r)		KUNIT_EXPECT_STRNEQ_MSG(test, l, r)
#define KUNIT_EXPECT_PTR_EQ(test, l, r)		KUNIT_EXPECT_EQ_MSG(test, l, r)
#define KUNIT_EXPECT_PTR_NE(test, l, r)		KUNIT_EXPECT_NE_MSG(test, l, r)

#define KUNIT_ASSERT_TRUE_MSG(test, c, ...)	KUNIT_BOOL_(test, true, c, #c " is true", ##__VA_ARGS__)
#define KUNIT_ASSERT_FALSE_MSG(test, c, ...)	KUNIT_BOOL_(test, true, !(c), #c " is false", ##__VA_ARGS__)
#define KUNIT_ASSERT_NULL_MSG(test, p, ...)	KUNIT_BOOL_(test, true, !(p), #p " is NULL", ##__VA_ARGS__)
#define KUNIT_ASSERT_NOT_NULL_MSG(test, p, ...)	KUNIT_BOOL_(test, true, p, #p " is not NULL", ##__VA_ARGS__)
#define KUNIT_ASSERT_EQ_MSG(test, l, r, ...)	KUNIT_COMPARE_(test, true, l, ==, r, ##__VA_ARGS__)
#define KUNIT_ASSERT_NE_MSG(test, l, r, ...)	KUNIT_COMPARE_(test, true, l, !=, r, ##__VA_ARGS__)
#define KUNIT_ASSERT_LT_MSG(test, l, r, ...)	KUNIT_COMPARE_(test, true, l, <, r, ##__VA_ARGS__)
#define KUNIT_ASSERT_LE_MSG(test, l, r, ...)	KUNIT_COMPARE_(test, true, l, <=, r, ##__VA_ARGS__)
#define KUNIT_ASSERT_GT_MSG(test, l, r, ...)	KUNIT_COMPARE_(test, true, l, >, r, ##__VA_ARGS__)
#define KUNIT_ASSERT_GE_MSG(test, l, r, ...)	KUNIT_COMPARE_(test, true, l, >=, r, ##__VA_ARGS__)
#define KUNIT_ASSERT_PTR_EQ_MSG			KUNIT_ASSERT_EQ_MSG
#define KUNIT_ASSERT_PTR_NE_MSG			KUNIT_ASSERT_NE_MSG

#define KUNIT_ASSERT_TRUE(test, c)		KUNIT_ASSERT_TRUE_MSG(test, c)
#define KUNIT_ASSERT_FALSE(test, c)		KUNIT_ASSERT_FALSE_MSG(test, c)
#define KUNIT_ASSERT_NULL(test, p)		KUNIT_ASSERT_NULL_MSG(test, p)
#define KUNIT_ASSERT_NOT_NULL(test, p)		KUNIT_ASSERT_NOT_NULL_MSG(test, p)
#define KUNIT_ASSERT_EQ(test, l, r)		KUNIT_ASSERT_EQ_MSG(test, l, r)
#define KUNIT_ASSERT_NE(test, l, r)		KUNIT_ASSERT_NE_MSG(test, l, r)
#define KUNIT_ASSERT_LT(test, l, r)		KUNIT_ASSERT_LT_MSG(test, l, r)
#define KUNIT_ASSERT_LE(test, l, r)		KUNIT_ASSERT_LE_MSG(test, l, r)
#define KUNIT_ASSERT_GT(test, l, r)		KUNIT_ASSERT_GT_MSG(test, l, r)
#define KUNIT_ASSERT_GE(test, l, r)		KUNIT_ASSERT_GE_MSG(test, l, r)
#define KUNIT_ASSERT_PTR_EQ(test, l, r)		KUNIT_ASSERT_EQ_MSG(test, l, r)
#define KUNIT_ASSERT_PTR_NE(test, l, r)		KUNIT_ASSERT_NE_MSG(test, l, r)

#endif
