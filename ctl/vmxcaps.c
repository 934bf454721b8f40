// SPDX-License-Identifier: GPL-2.0
/* The table of VMX capability bits (SDM vol. 3D, appendix A, and 25.6 to 25.8). */
#include "vmxcaps.h"

#define FEATURE_CONTROL	0x03a
#define BASIC		MSR_VMX_BASIC
#define PIN		0x481
#define PROC		0x482
#define EXIT		0x483
#define ENTRY		0x484
#define MISC		0x485
#define CR0_FIXED0	0x486
#define CR0_FIXED1	0x487
#define CR4_FIXED0	0x488
#define CR4_FIXED1	0x489
#define VMCS_ENUM	0x48a
#define PROC2		0x48b
#define EPT_VPID	0x48c
#define TRUE_PIN	0x48d
#define TRUE_PROC	0x48e
#define TRUE_EXIT	0x48f
#define TRUE_ENTRY	0x490
#define VMFUNC		0x491

const struct vmxcap_msr vmxcap_msrs[] = {
	{ FEATURE_CONTROL, 0, VMXCAP_FLAGS, "IA32_FEATURE_CONTROL" },
	{ BASIC, 0, VMXCAP_FLAGS, "IA32_VMX_BASIC" },
	{ PIN, TRUE_PIN, VMXCAP_CONTROLS, "Pin-based execution controls" },
	{ PROC, TRUE_PROC, VMXCAP_CONTROLS,
	  "Primary processor-based execution controls" },
	{ PROC2, 0, VMXCAP_CONTROLS,
	  "Secondary processor-based execution controls" },
	{ EXIT, TRUE_EXIT, VMXCAP_CONTROLS, "VM-exit controls" },
	{ ENTRY, TRUE_ENTRY, VMXCAP_CONTROLS, "VM-entry controls" },
	{ EPT_VPID, 0, VMXCAP_FLAGS, "IA32_VMX_EPT_VPID_CAP" },
	{ VMFUNC, 0, VMXCAP_FLAGS, "IA32_VMX_VMFUNC" },
	{ MISC, 0, VMXCAP_FLAGS, "IA32_VMX_MISC" },
	{ VMCS_ENUM, 0, VMXCAP_FLAGS, "IA32_VMX_VMCS_ENUM" },
	{ CR0_FIXED0, 0, VMXCAP_VALUE, "IA32_VMX_CR0_FIXED0" },
	{ CR0_FIXED1, 0, VMXCAP_VALUE, "IA32_VMX_CR0_FIXED1" },
	{ CR4_FIXED0, 0, VMXCAP_VALUE, "IA32_VMX_CR4_FIXED0" },
	{ CR4_FIXED1, 0, VMXCAP_VALUE, "IA32_VMX_CR4_FIXED1" },
};

const size_t vmxcap_nr_msrs = sizeof(vmxcap_msrs) / sizeof(vmxcap_msrs[0]);

const struct vmxcap_bit vmxcap_bits[] = {
	{ FEATURE_CONTROL, 0, 1, "Locked" },
	{ FEATURE_CONTROL, 1, 1, "VMX inside SMX" },
	{ FEATURE_CONTROL, 2, 1, "VMX outside SMX" },
	{ FEATURE_CONTROL, 20, 1, "LMCE" },

	{ BASIC, 0, 31, "VMCS revision" },
	{ BASIC, 32, 13, "VMXON and VMCS region size" },
	{ BASIC, 48, 1, "Addresses limited to 32 bits" },
	{ BASIC, 49, 1, "Dual-monitor treatment of SMM" },
	{ BASIC, 50, 4, "VMCS memory type" },
	{ BASIC, 54, 1, "INS and OUTS information" },
	{ BASIC, 55, 1, "True control MSRs" },
	{ BASIC, 56, 1, "Exceptions with or without error code" },

	{ PIN, 0, 1, "External-interrupt exiting" },
	{ PIN, 3, 1, "NMI exiting" },
	{ PIN, 5, 1, "Virtual NMIs" },
	{ PIN, 6, 1, "Activate VMX-preemption timer" },
	{ PIN, 7, 1, "Process posted interrupts" },

	{ PROC, 2, 1, "Interrupt-window exiting" },
	{ PROC, 3, 1, "Use TSC offsetting" },
	{ PROC, 7, 1, "HLT exiting" },
	{ PROC, 9, 1, "INVLPG exiting" },
	{ PROC, 10, 1, "MWAIT exiting" },
	{ PROC, 11, 1, "RDPMC exiting" },
	{ PROC, 12, 1, "RDTSC exiting" },
	{ PROC, 15, 1, "CR3-load exiting" },
	{ PROC, 16, 1, "CR3-store exiting" },
	{ PROC, 17, 1, "Activate tertiary controls" },
	{ PROC, 19, 1, "CR8-load exiting" },
	{ PROC, 20, 1, "CR8-store exiting" },
	{ PROC, 21, 1, "Use TPR shadow" },
	{ PROC, 22, 1, "NMI-window exiting" },
	{ PROC, 23, 1, "MOV-DR exiting" },
	{ PROC, 24, 1, "Unconditional I/O exiting" },
	{ PROC, 25, 1, "Use I/O bitmaps" },
	{ PROC, 27, 1, "Monitor trap flag" },
	{ PROC, 28, 1, "Use MSR bitmaps" },
	{ PROC, 29, 1, "MONITOR exiting" },
	{ PROC, 30, 1, "PAUSE exiting" },
	{ PROC, 31, 1, "Activate secondary controls" },

	{ PROC2, 0, 1, "Virtualize APIC accesses" },
	{ PROC2, 1, 1, "Enable EPT" },
	{ PROC2, 2, 1, "Descriptor-table exiting" },
	{ PROC2, 3, 1, "Enable RDTSCP" },
	{ PROC2, 4, 1, "Virtualize x2APIC mode" },
	{ PROC2, 5, 1, "Enable VPID" },
	{ PROC2, 6, 1, "WBINVD exiting" },
	{ PROC2, 7, 1, "Unrestricted guest" },
	{ PROC2, 8, 1, "APIC-register virtualization" },
	{ PROC2, 9, 1, "Virtual-interrupt delivery" },
	{ PROC2, 10, 1, "PAUSE-loop exiting" },
	{ PROC2, 11, 1, "RDRAND exiting" },
	{ PROC2, 12, 1, "Enable INVPCID" },
	{ PROC2, 13, 1, "Enable VM functions" },
	{ PROC2, 14, 1, "VMCS shadowing" },
	{ PROC2, 15, 1, "Enable ENCLS exiting" },
	{ PROC2, 16, 1, "RDSEED exiting" },
	{ PROC2, 17, 1, "Enable PML" },
	{ PROC2, 18, 1, "EPT-violation #VE" },
	{ PROC2, 19, 1, "Conceal VMX from PT" },
	{ PROC2, 20, 1, "Enable XSAVES/XRSTORS" },
	{ PROC2, 21, 1, "PASID translation" },
	{ PROC2, 22, 1, "Mode-based execute control for EPT" },
	{ PROC2, 23, 1, "Sub-page write permissions for EPT" },
	{ PROC2, 24, 1, "PT uses guest physical addresses" },
	{ PROC2, 25, 1, "Use TSC scaling" },
	{ PROC2, 26, 1, "Enable user wait and pause" },
	{ PROC2, 27, 1, "Enable PCONFIG" },
	{ PROC2, 28, 1, "Enable ENCLV exiting" },
	{ PROC2, 30, 1, "VMM bus-lock detection" },
	{ PROC2, 31, 1, "Instruction timeout" },

	{ EXIT, 2, 1, "Save debug controls" },
	{ EXIT, 9, 1, "Host address-space size" },
	{ EXIT, 12, 1, "Load IA32_PERF_GLOBAL_CTRL" },
	{ EXIT, 15, 1, "Acknowledge interrupt on exit" },
	{ EXIT, 18, 1, "Save IA32_PAT" },
	{ EXIT, 19, 1, "Load IA32_PAT" },
	{ EXIT, 20, 1, "Save IA32_EFER" },
	{ EXIT, 21, 1, "Load IA32_EFER" },
	{ EXIT, 22, 1, "Save VMX-preemption timer value" },
	{ EXIT, 23, 1, "Clear IA32_BNDCFGS" },
	{ EXIT, 24, 1, "Conceal VMX from PT" },
	{ EXIT, 25, 1, "Clear IA32_RTIT_CTL" },
	{ EXIT, 26, 1, "Clear IA32_LBR_CTL" },
	{ EXIT, 27, 1, "Clear UINV" },
	{ EXIT, 28, 1, "Load CET state" },
	{ EXIT, 29, 1, "Load PKRS" },
	{ EXIT, 30, 1, "Save IA32_PERF_GLOBAL_CTRL" },
	{ EXIT, 31, 1, "Activate secondary controls" },

	{ ENTRY, 2, 1, "Load debug controls" },
	{ ENTRY, 9, 1, "IA-32e mode guest" },
	{ ENTRY, 10, 1, "Entry to SMM" },
	{ ENTRY, 11, 1, "Deactivate dual-monitor treatment" },
	{ ENTRY, 13, 1, "Load IA32_PERF_GLOBAL_CTRL" },
	{ ENTRY, 14, 1, "Load IA32_PAT" },
	{ ENTRY, 15, 1, "Load IA32_EFER" },
	{ ENTRY, 16, 1, "Load IA32_BNDCFGS" },
	{ ENTRY, 17, 1, "Conceal VMX from PT" },
	{ ENTRY, 18, 1, "Load IA32_RTIT_CTL" },
	{ ENTRY, 19, 1, "Load UINV" },
	{ ENTRY, 20, 1, "Load CET state" },
	{ ENTRY, 21, 1, "Load guest IA32_LBR_CTL" },
	{ ENTRY, 22, 1, "Load PKRS" },
	{ ENTRY, 23, 1, "Load FRED" },

	{ EPT_VPID, 0, 1, "Execute-only translations" },
	{ EPT_VPID, 6, 1, "Page walk of 4 levels" },
	{ EPT_VPID, 7, 1, "Page walk of 5 levels" },
	{ EPT_VPID, 8, 1, "Memory type UC" },
	{ EPT_VPID, 14, 1, "Memory type WB" },
	{ EPT_VPID, 16, 1, "2 MiB pages" },
	{ EPT_VPID, 17, 1, "1 GiB pages" },
	{ EPT_VPID, 20, 1, "INVEPT" },
	{ EPT_VPID, 21, 1, "Accessed and dirty flags" },
	{ EPT_VPID, 22, 1, "Advanced information on EPT violations" },
	{ EPT_VPID, 23, 1, "Supervisor shadow-stack control" },
	{ EPT_VPID, 25, 1, "INVEPT, single context" },
	{ EPT_VPID, 26, 1, "INVEPT, all contexts" },
	{ EPT_VPID, 32, 1, "INVVPID" },
	{ EPT_VPID, 40, 1, "INVVPID, individual address" },
	{ EPT_VPID, 41, 1, "INVVPID, single context" },
	{ EPT_VPID, 42, 1, "INVVPID, all contexts" },
	{ EPT_VPID, 43, 1, "INVVPID, single context but globals" },
	{ EPT_VPID, 48, 6, "Largest HLAT prefix" },

	{ VMFUNC, 0, 1, "EPTP switching" },

	{ MISC, 0, 5, "VMX-preemption timer rate" },
	{ MISC, 5, 1, "Exits store EFER.LMA" },
	{ MISC, 6, 1, "Activity state HLT" },
	{ MISC, 7, 1, "Activity state shutdown" },
	{ MISC, 8, 1, "Activity state wait-for-SIPI" },
	{ MISC, 14, 1, "PT in VMX operation" },
	{ MISC, 15, 1, "IA32_SMBASE in SMM" },
	{ MISC, 16, 9, "CR3-target values" },
	{ MISC, 25, 3, "MSR list size class" },
	{ MISC, 28, 1, "SMIs may be unblocked by VMXOFF" },
	{ MISC, 29, 1, "VMWRITE to read-only fields" },
	{ MISC, 30, 1, "Injection with instruction length 0" },
	{ MISC, 32, 32, "MSEG revision" },

	{ VMCS_ENUM, 1, 9, "Highest field index" },
};

const size_t vmxcap_nr_bits = sizeof(vmxcap_bits) / sizeof(vmxcap_bits[0]);
