#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# /init of an L2 that has been given an NVMe disk: reads and writes it, prints the results, and powers off.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
cd /tmp || exit

verdict() { # status, name
	if [ "$1" = 0 ]; then echo "l2: good: $2"; else echo "l2: BAD: $2"; fi
}

n=0
while [ ! -e /dev/nvme0n1 ] && [ $n -lt 100 ]; do
	n=$((n + 1))
	usleep 100000
done
dd if=/dev/nvme0n1 of=head bs=64k count=16 2> /dev/null
echo "l2: read $(sha256sum < head)"
dd if=head of=/dev/nvme0n1 bs=64k seek=16 conv=fsync 2> /dev/null
echo 3 > /proc/sys/vm/drop_caches
dd if=/dev/nvme0n1 of=copy bs=64k skip=16 count=16 2> /dev/null
cmp head copy
verdict $? "reads back what was written"
grep nvme /proc/interrupts
awk '/nvme/ { n += $2 } END { exit !n }' /proc/interrupts
verdict $? "the disk has its interrupts"
echo "l2: powering off"
poweroff -f
