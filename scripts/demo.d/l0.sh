#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What L0 does in the demo: say who it is, run L1 on Droste, say how it ended.
# Arguments: device, CPUs and MiB of L1, further words for L1's kernel command line.
device=$1 cpus=$2 memory=$3
shift 3
# What spares a kernel work that shows nothing here: see drostectl(8).
lean="quiet loglevel=1 tsc=reliable no_timer_check cryptomgr.notests mitigations=off init_on_alloc=0 pci=off io_delay=none"
lean="$lean 8250.nr_uarts=1 initcall_blacklist=jent_mod_init,init_kprobe_trace"
./drostectl whoami L0
./drostectl run --device "$device" --kernel vmlinuz --initrd l1.cpio --cpus "$cpus" --memory "$memory" \
	$([ "$device" = /dev/droste ] && echo --stats) --append "$lean $*"
status=$?
if [ $status = 0 ]; then
	echo "L0: L1 powered off cleanly"
else
	echo "L0: L1 ended with status $status"
fi
exit $status
