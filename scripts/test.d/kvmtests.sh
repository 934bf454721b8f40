#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in L0 with kvm_intel loaded: the kernel's KVM selftests on it and then on Droste.
# Usage: kvmtests.sh LIST ; LIST has a line for each program: L0's seconds that it may take, its name, its arguments.
# Says for each "result COLUMN PROGRAM STATUS", after the last lines of what a program said that did not succeed.
list=$1
log=/tmp/kvmtests.log

column() {
	dmesg -c > /dev/null
	while read -r limit program arguments; do
		# Backed by huge pages where a program wants them; one that leaves them reserved must not starve the next.
		echo 40 > /proc/sys/vm/nr_hugepages
		# shellcheck disable=SC2086 # the arguments are several words
		timeout -k 5 "$limit" "kvm-selftests/$program" $arguments > $log 2>&1 < /dev/null
		status=$?
		[ $status = 0 ] || tail -n 12 $log | sed "s/^/# $1: $program: /"
		echo "result $1 $program $status"
	done < "$list"
	dmesg | grep -E "BUG:|WARNING:|Call Trace:" | sed "s/^/# $1: kernel: /"
	dmesg | grep -qE "BUG:|WARNING:|Call Trace:"
	echo "result $1 the-kernel's-log $((! $?))"
}

column kvm_intel
# The programs ask the parameters of kvm.ko for what they may expect; they keep the answers that it gave.
mkdir -p /tmp/module
for module in kvm kvm_intel; do
	mkdir -p /tmp/module/$module
	cp -r /sys/module/$module/parameters /tmp/module/$module/
done
rmmod kvm_intel kvm && insmod droste.ko || exit 1
mount -o bind /tmp/module /sys/module
ln -s droste /dev/kvm
column droste
umount /sys/module
