#!/bin/bash
# properties = {properties}

# Slurm sends this script SIGTERM ahead of the time limit and at a preemption, and nothing to what it started: pass it on.
# A training then writes its checkpoint and ends with status 75.
set -m
( {exec_job} ) &
child=$!
trap 'kill -TERM -- -"$child" 2>/dev/null' TERM
while kill -0 "$child" 2>/dev/null; do
    wait "$child"
    status=$?
done
exit "$status"
