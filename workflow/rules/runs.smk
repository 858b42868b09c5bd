# Training, scoring, and the times of generation. A job that stops with status 75 left a checkpoint: the next goes on.


rule train:
    input:
        code=code("train"),
        data=lambda wildcards: prepared_of(wildcards.name),
    output:
        directory(str(paths.train(SCALE, "{name}"))),
    log:
        log_of("train"),
    retries: 2 if SCALE == "paper" else 0
    threads: COMPUTE["threads"]
    resources:
        mem_mb=2000 * LARGE,
        runtime=360 * LARGE,
        gpus=GPUS,
    params:
        block=block("train"),
    shell:
        command("train")


rule evaluate:
    input:
        code=code("evaluate"),
        data=lambda wildcards: prepared_of(wildcards.name),
        train=str(paths.train(SCALE, "{name}")),
    output:
        str(paths.metrics(SCALE, "{name}")),
        directory(str(paths.evaluation(SCALE, "{name}"))),
    log:
        log_of("evaluate"),
    threads: COMPUTE["threads"]
    resources:
        mem_mb=2000 * LARGE,
        runtime=120 * LARGE,
        gpus=GPUS,
    params:
        block=block("evaluate"),
    shell:
        command("evaluate")


# Measures time, so on one machine it takes all cores and runs alone.
rule speed:
    input:
        code=code("speed"),
        data=lambda wildcards: sorted({prepared_of(run) for run in MATRIX.speeds[wildcards.name]["runs"]}),
        train=lambda wildcards: strings(*(paths.train(SCALE, run) for run in MATRIX.speeds[wildcards.name]["runs"])),
    output:
        str(paths.speed(SCALE, "{name}")),
    log:
        log_of("speed"),
    threads: workflow.cores or 1
    resources:
        mem_mb=2000 * LARGE,
        runtime=60 * LARGE,
        gpus=GPUS,
    params:
        block=block("speed"),
    shell:
        command("speed")
