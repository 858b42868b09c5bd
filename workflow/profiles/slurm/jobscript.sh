#!/bin/bash
# properties = {properties}

# Slurm sends SIGTERM ahead of the time limit and at a preemption only to this script: pass it on to the job.
# A training then writes its checkpoint and ends with status 75.
set -m
( trap : TERM; {exec_job} ) &
child=$!
trap 'told=yes; kill -TERM -- -"$child" 2>/dev/null' TERM
# A signal ends `wait` early with 143. So wait again until no signal arrives; an ended child's status is returned again.
while told=; wait "$child"; status=$?; [ "$told" ]; do :; done
exit "$status"
