# From the source to arrays.


rule download:
    input:
        code=code("download"),
    output:
        directory(str(paths.raw(SCALE, "{name}"))),
    log:
        log_of("download"),
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
        gpus=0,
    params:
        block=block("download"),
    shell:
        command("download")


rule prepare:
    input:
        code=code("prepare"),
        raw=str(paths.raw(SCALE, "{name}")),
    output:
        directory(str(paths.prepared(SCALE, "{name}"))),
    log:
        log_of("prepare"),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
        gpus=0,
    params:
        block=block("prepare"),
    shell:
        command("prepare")
