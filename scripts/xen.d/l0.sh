#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in L0: starts QEMU with Xen and dom0 as L1 on the hypervisor that is loaded, and prints Droste's exit counters.
# Usage: l0.sh CPUS MEMORY XEN DOM0 ; CPUS and MEMORY (MiB) are L1's, XEN and DOM0 are command lines.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
cpus=$1 memory=$2 status=1
[ -e /dev/droste ] && ln -sf droste /dev/kvm
echo "L0: Linux $(uname -r) with $(grep -oE '^(droste|kvm_intel)' /proc/modules)"
# QEMU reports events on one pipe and reads commands from the other. After L1's shutdown it pauses, so that
# the counters can be read.
mkfifo /tmp/qmp.in /tmp/qmp.out
qemu/qemu -accel kvm -nodefaults -no-user-config -display none -no-reboot -action shutdown=pause -qmp pipe:/tmp/qmp \
	-serial stdio -M q35 -cpu host,+invtsc -smp "$cpus" -m "$memory" -kernel xen -append "$3" -initrd "vmlinuz $4,dom0.cpio" &
exec 4> /tmp/qmp.in 5< /tmp/qmp.out

quit() {
	echo '{"execute": "quit"}' >&4
}

echo '{"execute": "qmp_capabilities"}' >&4
while read -r said <&5; do
	case $said in
	*'"guest-shutdown"'*)
		status=0
		echo '{"execute": "query-stats", "arguments": {"target": "vcpu"}}' >&4 ;;
	*'"STOP"'*)
		[ $status = 0 ] || quit ;;
	*'"exits_by_reason"'*)
		echo "$said" | awk -f exits.awk reasons -
		quit ;;
	*'"exits"'* | *'"error"'*)
		quit ;;
	esac
done
if wait $! && [ $status = 0 ]; then
	echo "L0: Xen powered off cleanly"
else
	echo "L0: Xen did not power off"
	status=1
fi
exit $status
