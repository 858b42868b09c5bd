# A rule for each row of the table in src/seqflows/stages.py. A job that stops with status 75 left a checkpoint: it resumes
# when submitted again, by `--retries` or by the Slurm profile. Output goes to the log, and to the terminal if the command
# fails.


def name_of(wildcards):
    return wildcards.get("name", stages.WHOLE)


def reads(stage):
    """A stage's inputs; a folder that people fill also file by file, since its own time does not show a change."""

    def listed(path):
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path in stages.GIVEN else []
        return map(str, (path, *files))

    def inputs(wildcards):
        return [file for path in stage.inputs(MATRIX, SCALE, name_of(wildcards)) for file in listed(path)]

    return inputs


def memory(stage):
    """A stage's MB, more with each attempt: a job that was killed may have lacked it."""
    return lambda wildcards, attempt: stage.memory * stage.size(SCALE) * min(attempt, stages.RAISED)


def minutes(stage):
    """A stage's minutes, more with each attempt of one that does not go on where it stopped, as a training does."""
    longest = stages.RAISED if stage.raised else 1
    return lambda wildcards, attempt: stage.limit * stage.size(SCALE) * min(attempt, longest)


def depends(stage):
    """A stage's part of params.yaml as text: when it changes, so do the rule's params, and the job runs again."""
    return lambda wildcards: matrix.text(stage.block(MATRIX, SCALE, name_of(wildcards)))


for stage_name, stage in stages.TABLE.items():
    own = "{name}" if stage.part else stages.WHOLE

    rule:
        name:
            stage_name
        input:
            code=[str(path) for path in stage.sources()],
            made=reads(stage),
        output:
            [str(path) if path.suffix else directory(str(path)) for path in stage.outputs(SCALE, own)],
        log:
            "logs/" + stage_name + "/" + SCALE + "/" + own + ".log",
        wildcard_constraints:
            name="|".join(stage.keys(MATRIX)),
        threads: alone() if stage.alone else COMPUTE["threads"] if stage.computes else 1
        resources:
            mem_mb=memory(stage),
            runtime=minutes(stage),
            gpus=GPUS if stage.computes else 0,
            exclusive=int(stage.alone),
        params:
            block=depends(stage),
            versions=matrix.text(stage.versions()),
            name=name_of,
        # Read when a job starts, where the loop's variables are those of the last row. A SIGTERM of the whole job, as from
        # Slurm, would end the shell before the training that it waits for has written its checkpoint: it goes on waiting.
        shell:
            "trap : TERM; {PYTHON} -m seqflows {rule} " + SCALE + "/{params.name} > {log} 2>&1 || "
            "{{ status=$?; cat {log} >&2; exit $status; }}"
