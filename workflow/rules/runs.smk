# Training, scoring, and what models write, with the times of generation. A job that stops with status 75 left a checkpoint:
# submitted again, by `--retries` or by the Slurm profile, it goes on.


rule train:
    input:
        code=code("train"),
        data=lambda wildcards: prepared_of(wildcards.name),
    output:
        directory(str(paths.train(SCALE, "{name}"))),
    log:
        log_of("train"),
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


rule generate:
    input:
        code=code("generate"),
        data=lambda wildcards: prepared_of(MATRIX.texts[wildcards.name]["run"]),
        train=lambda wildcards: str(paths.train(SCALE, MATRIX.texts[wildcards.name]["run"])),
    output:
        str(paths.text(SCALE, "{name}")),
    log:
        log_of("generate"),
    threads: COMPUTE["threads"]
    resources:
        mem_mb=2000 * LARGE,
        runtime=60 * LARGE,
        gpus=GPUS,
    params:
        block=block("generate"),
    shell:
        command("generate")


# Measures time: on one machine it takes all cores and runs alone, on a cluster it has its node to itself.
rule speed:
    input:
        code=code("speed"),
        data=lambda wildcards: sorted({prepared_of(run) for run in MATRIX.speeds[wildcards.name]["runs"]}),
    output:
        str(paths.speed(SCALE, "{name}")),
    log:
        log_of("speed"),
    threads: alone()
    resources:
        mem_mb=2000 * LARGE,
        runtime=60 * LARGE,
        gpus=GPUS,
        exclusive=1,
    params:
        block=block("speed"),
    shell:
        command("speed")
