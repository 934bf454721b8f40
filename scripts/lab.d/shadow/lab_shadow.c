// SPDX-License-Identifier: GPL-2.0
/*
 * Keeps kmemleak from reading KASAN's shadow of the memory (an eighth of it), which has no pointers: reading it takes most
 * of a scan's time on the debug kernel. The shadow is allocated at boot in large pages, each of them an object of kmemleak.
 */
#include <linux/kasan.h>
#include <linux/kmemleak.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <asm/pgtable.h>

static unsigned int ignored;		/* bytes of the shadow, in MiB */
module_param(ignored, uint, 0444);

static int __init lab_shadow_init(void)
{
	unsigned long end = (unsigned long)kasan_mem_to_shadow(high_memory - 1);
	unsigned long shadow = (unsigned long)kasan_mem_to_shadow((void *)PAGE_OFFSET);
	unsigned int level;
	pte_t *pte;

	for (shadow = ALIGN(shadow, PMD_SIZE); shadow < end; shadow += PMD_SIZE) {
		pte = lookup_address(shadow, &level);
		if (!pte || level != PG_LEVEL_2M || !pmd_present(*(pmd_t *)pte))
			continue;
		kmemleak_ignore_phys(PFN_PHYS(pmd_pfn(*(pmd_t *)pte)));
		ignored += PMD_SIZE >> 20;
	}
	return 0;
}

static void __exit lab_shadow_exit(void)
{
}

module_init(lab_shadow_init);
module_exit(lab_shadow_exit);
MODULE_DESCRIPTION("Keeps kmemleak from reading KASAN's shadow");
MODULE_LICENSE("GPL");
