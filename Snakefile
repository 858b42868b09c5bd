# One of the two readings of params.yaml and the table of stages; the other is dvc.yaml. A test compares them.
#
#   snakemake -j 2                                   the scale that params.yaml names
#   snakemake -j 2 --config scale=laptop             another one
#   snakemake --cluster sbatch -j 32                 a cluster


include: "workflow/rules/common.smk"
include: "workflow/rules/stages.smk"


rule all:
    default_target: True
    input:
        everything(),
