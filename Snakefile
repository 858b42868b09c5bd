# Snakemake's rules from params.yaml and the table of stages; a test compares them with dvc.yaml.
#
#   snakemake -j 2                                   the scale of params.yaml
#   snakemake -j 2 --config scale=laptop             another one
#   snakemake --profile workflow/profiles/slurm -j 32    Slurm, with the resources that each job needs


include: "workflow/rules/common.smk"
include: "workflow/rules/stages.smk"


rule all:
    default_target: True
    input:
        everything(),
