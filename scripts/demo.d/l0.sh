#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in L0: prints a line about L0, runs L1 on Droste and reports how L1 ended.
# Usage: l0.sh DEVICE CPUS MEMORY [OPTION...] ; CPUS and MEMORY (MiB) are L1's, OPTIONs are for its kernel.
# FORCE_EXITS in the environment: exits that L1 and L2 need not have, as drostectl run --force-exits takes them.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
device=$1 cpus=$2 memory=$3
shift 3
# Options that avoid boot work without use here; see drostectl(8).
lean="quiet loglevel=1 tsc=reliable no_timer_check cryptomgr.notests mitigations=off init_on_alloc=0 pci=off io_delay=none"
lean="$lean 8250.nr_uarts=1 initcall_blacklist=jent_mod_init,init_kprobe_trace"
./drostectl whoami L0
./drostectl run --device "$device" --kernel vmlinuz --initrd l1.cpio --cpus "$cpus" --memory "$memory" \
	$([ "$device" = /dev/droste ] && echo --stats) ${FORCE_EXITS:+--force-exits "$FORCE_EXITS"} \
	--append "$lean $*"
status=$?
if [ $status = 0 ]; then
	echo "L0: L1 powered off cleanly"
else
	echo "L0: L1 ended with status $status"
fi
exit $status
