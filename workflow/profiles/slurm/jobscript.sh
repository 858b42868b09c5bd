#!/bin/bash
# properties = {properties}

# Slurm sends this script SIGTERM ahead of the time limit and at a preemption, and nothing to what it started: pass it on.
# A training then writes its checkpoint and ends with status 75.
set -m
( trap : TERM; {exec_job} ) &
child=$!
trap 'told=yes; kill -TERM -- -"$child" 2>/dev/null' TERM
# A signal ends `wait` early with 143. So ask again until no signal came between; an ended child's status is given again.
while told=; wait "$child"; status=$?; [ "$told" ]; do :; done
exit "$status"
