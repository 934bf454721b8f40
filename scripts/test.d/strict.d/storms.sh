#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Tests the topic storms of the strict machine in an L0 with Droste: a storm exposes a race between two instructions, and
# every NMI that the processor accepts reaches L0's handler, while guests run too. The last line tells two runs apart.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
nmi=/sys/module/lab_nmi/parameters

echo "1..3"
# The planted fault. Without storms no increment is lost.
echo 500000 > $nmi/race
lost=$(cat $nmi/lost)
[ "$lost" -gt 0 ] || printf "not "
echo "ok 1 - a storm exposes a race between a load and a store"

if ! ./t_basic > .out || ! ./t_vmx_basic >> .out; then
	sed 's/^/# /' .out
	printf "not "
fi
echo "ok 2 - guests run in a storm"

before=$(./labmsr nmis)
handled=$(cat $nmi/handled)
after=$(./labmsr nmis)
echo "# NMIs: $before accepted, $handled handled, $after accepted"
[ "$before" -le "$handled" ] && [ "$handled" -le "$after" ] && [ "$handled" -gt 100 ] || printf "not "
echo "ok 3 - no NMI is lost"
echo "# this run: $lost lost, $handled NMIs"
