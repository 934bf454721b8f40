#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in L0: a module with planted faults, and whether subtests of t_dirty_l2 find them. Prints TAP.
# Usage: plants.sh PLANT SUBTEST... ; pairs of a fault's number and the name of a subtest. It must find the fault, but 0.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
cd /lab || exit 1
n=0
while [ $# -gt 1 ]; do
	n=$((n + 1))
	insmod droste.ko plant="$1" || exit 1
	./t_dirty_l2 --filter "$2" > out 2>&1
	rmmod droste || exit 1
	if [ "$1" = 0 ]; then wanted="^ok 1"; else wanted="and not logged$"; fi
	if grep -q "$wanted" out; then
		echo "ok $n - fault $1: $2"
	else
		sed 's/^/# /' out
		echo "not ok $n - fault $1: $2"
	fi
	shift 2
done
echo "1..$n"
