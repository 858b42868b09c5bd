# Tables, figures, the audit, and the tracker's copy of them.


rule table:
    input:
        code=code("table"),
        made=lambda wildcards: strings(*MATRIX.table_files(SCALE, wildcards.name)),
    output:
        strings(*paths.table(SCALE, "{name}")),
    log:
        log_of("table"),
    wildcard_constraints:
        name="|".join(MATRIX.tables),
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
        gpus=0,
    params:
        block=block("table"),
    shell:
        command("table")


rule figure:
    input:
        code=code("figure"),
        drawn=lambda wildcards: strings(*MATRIX.figure_files(SCALE, wildcards.name)),
    output:
        strings(*paths.figure(SCALE, "{name}")),
    log:
        log_of("figure"),
    wildcard_constraints:
        name="|".join(MATRIX.figures),
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
        gpus=0,
    params:
        block=block("figure"),
    shell:
        command("figure")


rule audit:
    input:
        code=code("audit"),
        statistics=str(paths.prepared(SCALE, "ptb")),
        metrics=strings(*(paths.metrics(SCALE, run) for run in MATRIX.runs)),
        speeds=strings(*(paths.speed(SCALE, name) for name in MATRIX.speeds)),
        tables=strings(*(paths.table(SCALE, name)[0] for name in MATRIX.tables)),
    output:
        strings(*paths.audit(SCALE)),
    log:
        log_of("audit", "all"),
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
        gpus=0,
    params:
        block=block("audit", "all"),
    shell:
        command("audit", "all")


rule track:
    input:
        code=code("track"),
        metrics=strings(*(paths.metrics(SCALE, run) for run in MATRIX.runs)),
        results=strings(
            *(path for name in MATRIX.tables for path in paths.table(SCALE, name)),
            *(path for name in MATRIX.figures for path in paths.figure(SCALE, name)),
            *paths.audit(SCALE),
        ),
    output:
        str(paths.track(SCALE)),
    log:
        log_of("track", "all"),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
        gpus=0,
    shell:
        command("track", "all")
