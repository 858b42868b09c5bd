# Snakemake's rules from params.yaml and the table of stages; a test compares them with dvc.yaml.
#
#   snakemake -j 2                                   the scale of params.yaml
#   snakemake -j 2 --config scale=laptop             another one
#   snakemake --cluster sbatch -j 32                 a cluster


include: "workflow/rules/common.smk"
include: "workflow/rules/stages.smk"


rule all:
    default_target: True
    input:
        everything(),
