#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in L0: an L1 whose VMLAUNCH fails, then KVM in L1 with a Linux in L2, each looked at from outside.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
status=0
title() {
	printf '\n######## %s\n' "$*"
}
# Prints a command, runs it, and notes a failure.
show() {
	printf '\n# %s\n' "$*"
	"$@" || status=1
}

title "1. An L1 whose VMLAUNCH fails, and why"
./badentry > badentry.out 2>&1 &
bad=$!
n=0
until grep -q "has failed" badentry.out || [ $n = 300 ]; do
	n=$((n + 1))
	sleep 0.1
done
cat badentry.out
show ./drostectl ps
show ./drostectl why
kill $bad
wait $bad 2>/dev/null

title "2. KVM in L1 and a Linux in L2: who runs, and what exits"
./l0.sh /dev/droste 1 1024 > chain.out 2>&1 &
chain=$!
# The number of L1's VM entries so far.
entries() {
	./drostectl ps --json 2>/dev/null | sed -n 's/.*"l1_entries": \([0-9]*\).*/\1/p'
}
n=0
until [ "$(entries)" -gt 300 ] 2>/dev/null || [ $n = 3000 ]; do
	n=$((n + 1))
	sleep 0.1
done
show ./drostectl ps
show ./drostectl top --once --interval 1
show ./drostectl top --once --interval 1 --by level
show ./drostectl top --once --interval 1 --by why

title "3. The three VMCSs of a running KVM"
# VMCS02 is there while L2 runs, which is most of the time.
n=0
until ./drostectl diff 12 02 > diff.out 2>/dev/null || [ $n = 100 ]; do n=$((n + 1)); done
printf '\n# ./drostectl diff 12 02\n'
cat diff.out
[ -s diff.out ] || status=1
show ./drostectl vmcs 12 --field CONTROL
show ./drostectl vmcs 01 --field GUEST_C
show ./drostectl regs
show ./drostectl regs --level 1

title "4. An address of L2, through all tables"
show ./drostectl ept 0xfee00000

title "5. Who gets L2's exits, and why"
show ./drostectl why --exit
show ./drostectl trace --l2 --note "Linux in KVM in L1" -o trace.txt -- sleep 0.3
printf '\n# head trace.txt\n'
head -12 trace.txt
printf '\n# tail -1 trace.txt\n'
tail -1 trace.txt
show ./drostectl trace --l1 --filter 'reason == 32' --json -- sleep 0.1 > trace.json
printf '\n# head -3 trace.json\n'
grep '^{' trace.json | head -3
wait $chain
tail -3 chain.out
grep -q "L1 powered off cleanly" chain.out || status=1
exit $status
