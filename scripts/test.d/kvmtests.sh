#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in L0 with kvm_intel loaded: the kernel's KVM selftests on it and then on Droste.
# Usage: kvmtests.sh LIST ; LIST has a line for each program: its limit in seconds of L0, its name, its arguments.
# Prints "result COLUMN PROGRAM STATUS" for each, and before that the end of the output if the program failed.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
list=$1
log=/tmp/kvmtests.log

column() {
	dmesg -c > /dev/null
	while read -r limit program arguments; do
		# Some programs need huge pages. A program that leaves them reserved must not starve the next one.
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
# The programs read kvm.ko's module parameters. For Droste they read a copy of them.
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
