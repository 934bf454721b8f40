#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# /init of the L1 of the step "pool-round": runs an L2 on its kvm_intel, and obeys the lines that come by its second serial port:
#   dump	tells what L1 (by that port) and L2 (by L1's console) see of their processor
#   another	runs another L2, which tells by that port what it sees
#   off	powers off
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
stty -F /dev/ttyS1 raw -echo
exec 4<> /dev/ttyS1
modprobe msr
modprobe kvm_intel || echo "L1: kvm_intel could not be loaded"

lean="quiet loglevel=1 tsc=reliable no_timer_check cryptomgr.notests mitigations=off init_on_alloc=0 pci=off io_delay=none"
lean="$lean 8250.nr_uarts=1 initcall_blacklist=jent_mod_init,init_kprobe_trace"

# The L2 that counts leaves most of the processor to another one that starts.
l2() { # name, niceness
	# shellcheck disable=SC2016 # of the new shell, which becomes drostectl
	sh -c 'renice "$0" $$; exec "$@"' "$2" /drostectl run --device /dev/kvm --kernel /vmlinuz --initrd /l2.cpio --memory 96 --append "$lean name=$1"
	echo "L1: $1 ended with status $?"
}

mkfifo /tmp/ask /tmp/ask-l2
l2 L2 10 < /tmp/ask-l2 &
exec 7> /tmp/ask-l2
/identity --waits L1 < /tmp/ask >&4 &
exec 6> /tmp/ask
echo "L1: ready"
while read -r word <&4; do
	case $word in
	dump) echo d >&6; echo d >&7 ;;
	another) l2 "another once" 0 < /dev/null >&4 ;;
	off) break ;;
	esac
done
poweroff -f
