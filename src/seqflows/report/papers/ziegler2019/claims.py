"""The prose claims of Ziegler & Rush 2019 as predicates, judged on their numbers and on ours."""

from __future__ import annotations

import math

from seqflows import files, paths
from seqflows.report.inputs import Results, times
from seqflows.report.intervals import mean_interval
from seqflows.report.judging import (
    FAILS,
    HOLDS,
    NOT_PRINTED,
    NOT_RUN,
    OTHER_CORPUS,
    UNDECIDED,
    Finding,
    Numbers,
    Ours,
    Reference,
    Value,
    below,
    close,
    held_back,
    join,
    noted,
    ruled,
    signed,
)  # fmt: skip
from seqflows.report.papers.base import Claim

TABLE1, TABLE2, TABLE3 = (f"ziegler2019-table{number}" for number in (1, 2, 3))
TABLES = (TABLE1, TABLE2, TABLE3)
NLL, RECONSTRUCTION, KL = "Test NLL", "Reconst.", "KL"
SETS = ("Nottingham", "Piano", "Musedata", "JSB")
QUOTED = ("RNN-NADE", "TSBN", "STORN", "NASMC", "SRNN", "DMM")
SAME = 0.02  # bpc: the meaning of "nearly the same" and "a small difference"


def one(row: str, column: str = NLL) -> Reference:
    """A cell of Table 1."""
    return TABLE1, row, column


def two(row: str, column: str = NLL) -> Reference:
    """A cell of Table 2."""
    return TABLE2, row, column


def three(row: str, column: str) -> Reference:
    """A cell of Table 3."""
    return TABLE3, row, column


def kl_share(numbers: Numbers) -> Finding:
    """KL / (reconstruction + KL) > 0.9 for every latent model of Tables 1 and 2; ours without log p(T)."""
    models = [(TABLE1, row) for row in ("AF-only", "AF / AF", "AF / SCF", "IAF / SCF")]
    models += [(TABLE2, row) for row in ("- NLSq", "- AF hidden", "- AF hidden and NLSq")]
    return join(_share(numbers, table, row) for table, row in models)


def _share(numbers: Numbers, table: str, row: str) -> Finding:
    if isinstance(numbers, Ours):
        run = numbers.address((table, row, KL))[0]
        found, pure, kl = (numbers.value(f"{run}.{one}") for one in ("kl_share", "reconstruction_pure", "kl"))
        if all(isinstance(one, Value) for one in (found, pure, kl)):
            note = ", ".join(filter(None, (found.note, f"{found.value:.1%} with log p(T)")))
            found = Value(kl.value / (kl.value + pure.value), found.error, note=note)
    else:
        found, reconstruction = numbers.value((table, row, KL)), numbers.value((table, row, RECONSTRUCTION))
        if isinstance(found, Value) and isinstance(reconstruction, Value):
            found = Value(found.value / (found.value + reconstruction.value), 0.0)
    if isinstance(found, Finding):
        return found
    text = f"“{row}” {found.value:.1%}" + (f" ± {found.error:.1%}" if found.error else "")
    judged = ruled(0.9 - found.value, found.error, text + (f" ({found.note})" if found.note else ""))
    return judged.comparing(((table, row, KL), (table, row, RECONSTRUCTION)), text)


def nottingham(numbers: Numbers) -> Finding:
    """AF/AF below every other row of the column but RNN-NADE."""
    others = ("LSTM", "AF / SCF", "IAF / SCF", *QUOTED[1:])
    return join(below(numbers, three("AF / AF", "Nottingham"), three(row, "Nottingham")) for row in others)


def poorest(numbers: Numbers, name: str) -> Finding:
    """AF/AF less the LSTM, the model without latents, larger on a set than on each other."""
    here, found = numbers.difference(three("AF / AF", name), three("LSTM", name)), []
    for other in SETS:
        there = numbers.difference(three("AF / AF", other), three("LSTM", other))
        if absent := [one for one in (here, there) if isinstance(one, Finding)]:
            found.append(absent[0])
        elif other != name:
            notes = noted((here, there))
            gap = Value(there.value - here.value, math.hypot(there.error, here.error), note=notes)
            text = f"AF / AF less LSTM, {other} less {name}: {signed(gap)}"
            found.append(held_back(ruled(gap.value, gap.error, text), there.apart or here.apart))
    return join(found)


def iaf_against_af(numbers: Numbers) -> Finding:
    """IAF/SCF below AF/SCF on three sets, above it on MuseData."""
    flows = ("IAF / SCF", "AF / SCF")
    pairs = {name: flows[::-1] if name == "Musedata" else flows for name in SETS}
    return join(below(numbers, three(first, name), three(second, name)) for name, (first, second) in pairs.items())


def weakest(numbers: Numbers) -> Finding:
    """The LSTM above every latent model, set by set."""
    others = ("AF / AF", "AF / SCF", "IAF / SCF", "TSBN", "STORN", "NASMC", "SRNN", "DMM")
    return join(below(numbers, three(row, name), three("LSTM", name)) for name in SETS for row in others)


def strongest(numbers: Numbers) -> Finding:
    """RNN-NADE below every other row; it is not trained here."""
    if isinstance(numbers, Ours):
        return Finding(NOT_RUN, "RNN-NADE is quoted, never trained here")
    others = ("LSTM", "AF / AF", "AF / SCF", "IAF / SCF", *QUOTED[1:])
    return join(below(numbers, three("RNN-NADE", name), three(row, name)) for name in SETS for row in others)


def toy(numbers: Numbers) -> Finding:
    """Affine layers lie at least 0.05 nats per point above the true density, and above NLSq."""
    if not isinstance(numbers, Ours):
        return Finding(NOT_PRINTED, "shown in figure 5c, no number printed")
    excess = numbers.value("gaussians-affine.excess")
    if isinstance(excess, Finding):
        return excess
    text = f"affine lies {excess.value:.3f} ± {excess.error:.3f} nats above the true density"
    above = ruled(0.05 - excess.value, excess.error, text)
    return join([above, below(numbers, "gaussians-nlsq.nll", "gaussians-affine.nll")])


def annealing(numbers: Numbers) -> Finding:
    """Without annealing the NLL is higher."""
    finding = below(numbers, "ptb-af_af.nll", "ptb-af_af-no_annealing.nll")
    kl = numbers.value("ptb-af_af-no_annealing.kl")
    return finding if isinstance(kl, Finding) else Finding(finding.verdict, f"{finding.text}; its KL {kl.value:.3f}")


def latent_size(numbers: Numbers) -> Finding:
    """H = 5, the run of Table 1 and H = 80 pairwise within SAME."""
    runs = ("ptb-af_af-h5.nll", "ptb-af_af.nll", "ptb-af_af-h80.nll")
    return join(close(numbers, first, second, SAME) for i, first in enumerate(runs) for second in runs[i + 1 :])


def speed(numbers: Numbers) -> Finding:
    """IAF/SCF is faster at every length from some length on, at most half the longest."""
    if not isinstance(numbers, Ours):
        return Finding(NOT_PRINTED, "shown in figure 7, no number printed")
    blocks = [name for name in ("ptb", "nottingham") if name in numbers.results.params.speeds]
    return join(speed_block(numbers.results, name) for name in blocks) if blocks else Finding(NOT_RUN, "not measured")


def speed_block(results: Results, name: str) -> Finding:
    """The claim about speed for one block of params.yaml."""
    measured = times(results.scale, name)
    if measured is None:
        return Finding(NOT_RUN, f"{name} was not timed")
    lines, machine = measured
    try:
        lstm = next(lengths for run, lengths in lines.items() if run.endswith("-lstm"))
        flow = next(lengths for run, lengths in lines.items() if run.endswith("-iaf_scf"))
    except StopIteration:
        return Finding(NOT_RUN, f"{name}: not both models were timed")
    lengths = sorted(set(lstm) & set(flow))
    gaps = []  # (seconds of the flow - seconds of the LSTM, half-width of its 95 % interval)
    for length in lengths:
        (a, half_a), (b, half_b) = mean_interval(flow[length]), mean_interval(lstm[length])
        gaps.append((a - b, (half_a**2 + half_b**2) ** 0.5))
    slower = [length for length, (gap, _) in zip(lengths, gaps, strict=True) if gap >= 0]
    gap, half = gaps[-1]
    last = f"{name}: at T = {lengths[-1]} IAF / SCF - LSTM = {1e3 * gap:+.2f} ms, 95 % ± {1e3 * half:.2f} ({machine})"
    if gap > half:
        return Finding(FAILS, last)
    if not gap < -half:
        return Finding(UNDECIDED, last)
    crossing = f"faster past T = {max(slower)}" if slower else f"faster at every length from T = {lengths[0]}"
    verdict = HOLDS if not slower or max(slower) <= lengths[-1] / 2 else UNDECIDED
    return Finding(verdict, f"{last}; {crossing}")


def share_within(numbers: Numbers) -> Finding:
    """The share of the sentences of all splits with at most 288 characters, as the code counts, rounds to 99.3 %."""
    if not isinstance(numbers, Ours):
        return Finding(NOT_PRINTED, "99.3 % is itself the printed number")
    results = numbers.results
    if "ptb" not in results.params.datasets or results.embedded("ptb"):
        return Finding(OTHER_CORPUS, "embedded sentences; shares of the real corpus are no matter of theirs")
    places = paths.prepared(results.scale, "ptb") / "statistics.json", paths.statistics(results.scale, "ptb")
    path = next((path for path in places if path.exists()), None)
    if path is None:
        return Finding(NOT_RUN, "ptb was not prepared")
    content = files.read_json(path)
    splits = content["splits"]
    shares = ", ".join(f"{name} {split['share_within_limit']:.2%}" for name, split in splits.items())
    if content["max_length"] != 288:
        return Finding(NOT_RUN, f"the limit here is {content['max_length']}: {shares} lie within it")
    kept, long = (sum(split[part] for split in splits.values()) for part in ("kept", "dropped_long"))
    share = kept / (kept + long)
    return Finding(HOLDS if round(share, 3) == 0.993 else FAILS, f"of all {share:.2%}; {shares}")


CLAIMS = (
    Claim(
        "AF / AF matches the LSTM", "6.1", "AF / AF nearly matches the LSTM baseline", "at most 0.01 bpc above it",
        lambda n: below(n, one("AF / AF"), one("LSTM (sentence-wise)"), 0.01),
    ),
    Claim(
        "AF / SCF within 0.05", "6.1", "AF / SCF is within 0.05 of the LSTM baseline", "at most 0.05 bpc above it",
        lambda n: below(n, one("AF / SCF"), one("LSTM (sentence-wise)"), 0.05),
    ),
    Claim(
        "IAF / SCF is worse than AF", "6.1", "The IAF / SCF model performs worse than the other models",
        "NLL above AF / AF and AF / SCF (AF-only is the next claim's)",
        lambda n: join(below(n, one(row), one("IAF / SCF")) for row in ("AF / AF", "AF / SCF")),
    ),
    Claim(
        "dependencies in time", "6.1",
        "compared to the AF-only baseline the autoregressive model clearly learns important dependencies",
        "NLL of IAF / SCF, which its paragraph is about, below AF-only",
        lambda n: below(n, one("IAF / SCF"), one("AF-only")),
    ),
    Claim(
        "KL is over 90 % of the bound", "6.1",
        "in all models the KL term dominates the ELBO, always accounting for over 90%",
        "KL / (reconstruction + KL) > 0.9 in every latent model of Tables 1 and 2; ours with a reconstruction without "
        "-log p(T), the printed ones as they stand, which may have it in them (deviations: reconstruction term)",
        kl_share,
    ),
    Claim(
        "ablations degrade", "6.1", "Without either the NLSq function or the AF-in-hidden dependencies the performance "
        "degrades", "NLL of - NLSq and of - AF hidden above AF / AF",
        lambda n: join(below(n, two("AF / AF"), two(row)) for row in ("- NLSq", "- AF hidden")),
    ),
    Claim(
        "NLSq without AF-in-hidden", "6.1", "Once AF-in-hidden is removed, however, further removing NLSq appears to "
        "make only a small difference in terms of NLL", f"NLLs within {SAME} bpc",
        lambda n: close(n, two("- AF hidden and NLSq"), two("- AF hidden"), SAME),
    ),
    Claim(
        "an affine flow cannot model the toy", "4.3",
        "an AF even with many layers fails to learn to model the same distribution",
        "affine, on the mixture of four Gaussians, above NLSq, and at least 0.05 nats a point above the true density",
        toy,
    ),
    Claim(
        "AF / AF is best on Nottingham", "6.2", "The AF / AF model outperforms all models on the Nottingham dataset",
        "NLL below every other row of the column but RNN-NADE, which it is said to approach", nottingham,
    ),
    Claim(
        "AF / AF beats SRNN on Piano", "6.2", "The AF / AF model outperforms […] SRNN on the Piano dataset",
        "NLL below",
        lambda n: below(n, three("AF / AF", "Piano"), three("SRNN", "Piano")),
    ),
    Claim(
        "AF / AF is poorest on Piano", "6.2", "AF / AF performs most poorly on the Piano dataset",
        "compared with the LSTM, which has no latents: the difference of the two NLLs is largest on it",
        lambda n: poorest(n, "Piano"),
    ),
    Claim(
        "AF / AF beats TSBN and STORN on JSB", "6.2",
        "The AF / AF model outperforms […] TSBN and STORN on the JSB dataset", "NLL below both",
        lambda n: join(below(n, three("AF / AF", "JSB"), three(row, "JSB")) for row in ("TSBN", "STORN")),
    ),
    Claim(
        "AF / SCF worse than AF / AF", "6.2", "The AF / SCF model performs slightly worse than AF / AF on all datasets",
        "NLL above on each of the four sets",
        lambda n: join(below(n, three("AF / AF", name), three("AF / SCF", name)) for name in SETS),
    ),
    Claim(
        "IAF / SCF worse than AF / AF", "6.2", "IAF / SCF performs slightly worse than AF / AF",
        "NLL above on each of the four sets",
        lambda n: join(below(n, three("AF / AF", name), three("IAF / SCF", name)) for name in SETS),
    ),
    Claim(
        "IAF / SCF beats AF / SCF", "6.2",
        "IAF / SCF performs […] better than AF / SCF on all datasets except Musedata",
        "NLL below on three sets, above on MuseData", iaf_against_af,
    ),
    Claim(
        "LSTM is weakest", "6.2", "RNN/LSTM is the weakest class",
        "NLL above every latent model on every set; the sentence is of what a class can express", weakest, check=True,
    ),
    Claim(
        "RNN-NADE is strongest", "6.2", "RNN-NADE is the strongest class",
        "NLL below every other row on every set; the sentence is of what a class can express", strongest, check=True,
    ),
    Claim(
        "annealing is essential", "D", "KL annealing is essential to learn a strong mapping",
        "NLL of ptb-af_af-no_annealing above ptb-af_af", annealing,
    ),
    Claim(
        "latent size", "D", "the results were nearly identical for D = 5-80",
        f"H = 5, Table 1's H and 80 pairwise within {SAME} bpc",
        latent_size,
    ),
    Claim(
        "generation speed", "6.3",
        "for very short sequences the overhead of the proposed model makes generation slower than the baseline LSTM, "
        "whereas after that point the IAF / SCF is faster than the LSTM",
        "mean time lower at every length past one that is at most half the longest measured; faster from the shortest "
        "length on holds too; the paper's times are of a V100, ours of the device that is named", speed,
    ),
    Claim(
        "99.3 % of the sentences under 288", "6.1",
        "sentences of length less than 288 tokens, which accounts for 99.3% of the original "
        "dataset",
        "the share of at most 288 characters, as the code counts, among the sentences of all splits rounds to 99.3 %; "
        "of fewer than 288 it rounds to 99.2 %", share_within,
    ),
)  # fmt: skip
