#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Tests the topic msrs of the strict machine in an L0 with kvm_intel: the programs beside this file, that Linux finds the
# bugs that the processor has, and that a barrier before each VM entry is a number.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
bugs=/sys/devices/system/cpu/vulnerabilities
number=0

# Reports a test: its name, and a command that succeeds if it passes.
check() {
	name=$1
	shift
	number=$((number + 1))
	if "$@" > .out 2>&1; then
		echo "ok $number - $name"
	else
		sed 's/^/# /' .out
		echo "not ok $number - $name"
	fi
}

# Runs a guest with kvm_intel flushing the first-level data cache before entries as told, and keeps the counts.
guest() {
	echo "$1" > /sys/module/kvm_intel/parameters/vmentry_l1d_flush
	./labmsr clear
	DROSTE_DEVICE=/dev/kvm ./t_basic > /dev/null || return 1
	./labmsr counts > .counts
	# shellcheck disable=SC1091 # the file is made in L0
	. ./.counts
}

# The processor of the lab's model has no other of these bugs.
affected() {
	for bug in l1tf mds itlb_multihit mmio_stale_data; do
		grep -H . $bugs/$bug
		! grep "Not affected" $bugs/$bug || return 1
	done
	grep -H . $bugs/spectre_v2
	grep "BHI: SW loop" $bugs/spectre_v2 || return 1
	for bug in gather_data_sampling spec_store_bypass tsx_async_abort; do
		grep -H . $bugs/$bug
		grep "Not affected" $bugs/$bug || return 1
	done
}

echo "1..7"
check "IA32_DEBUGCTL.BTF: single steps stop after branches" ./blockstep
check "a read of a poisoned page raises a machine check" ./poison
check "a split lock raises #AC" ./splitlock
check "Linux finds the bugs of the machine's processor, and no others" affected
check "a guest runs with flushes" guest always
# shellcheck disable=SC2154 # the counts are variables
check "each entry has a flush and VERW" [ "$entries $entries" = "$l1d_flush $verw" ]
# The planted fault.
guest never
check "the count shows that the flushes are missing" [ "$entries" -gt 0 -a "$l1d_flush" = 0 ]
