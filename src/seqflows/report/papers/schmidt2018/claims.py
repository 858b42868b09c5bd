"""The prose claims of Schmidt & Hofmann 2018 as predicates, judged on their numbers and on ours."""

from __future__ import annotations

from seqflows.report.judging import join
from seqflows.report.papers.base import Claim
from seqflows.report.papers.schmidt2018.alike import below, close
from seqflows.report.papers.schmidt2018.predicates import (
    BASELINES,
    FIVE,
    KNOWN,
    STATE_SPACE,
    TEST,
    THREE,
    TRAIN,
    UNIQUE,
    diminishing,
    gap_above,
    harder,
    harder_net,
    improves,
    one,
    oracle_unit,
    two,
    unseen,
    variation,
    within_share,
)  # fmt: skip
from seqflows.report.papers.schmidt2018.sampling import (
    difference_by_sampling,
    few_suffice,
    level_by_sampling,
    located,
    models_unit,
    read_by_sampling,
    sampled_baseline,
    uniform,
)
from seqflows.report.papers.schmidt2018.steps import along, decreasing, first_largest, spreading

NVP = "REAL-NVP-[2,3,4,5,6,7]"
CROSS = "cross_entropy_test"

CLAIMS = (
    Claim(
        "importance weighting, K = 5", "5.1", "importance weighting significantly improves the results across all "
        "metrics", "TRIL and 2×TRIL with K = 5 against K = 1: both cross entropies lower, w unique, w in V and H_gap "
        "higher", lambda n: improves(n, [("TRIL", "TRIL, K=5"), ("2×TRIL", "2×TRIL, K=5")]),
    ),
    Claim(
        "importance weighting, K = 2", "5.1", "importance weighting significantly improves the results across all "
        "metrics", "the same for TRIL with K = 2", lambda n: improves(n, [("TRIL", "TRIL, K=2")]),
    ),
    Claim(
        "diminishing returns", "5.1", "with diminishing returns at K = 10",
        "the test cross entropy falls less from K = 5 to 10 than from 1 to 5, for TRIL and 2×TRIL", diminishing,
    ),
    Claim(
        "two layers", "5.1", "two layers of the TRIL flow improve performance",
        "test cross entropy of 2×TRIL below TRIL at K = 1, 5 and 10",
        lambda n: join(below(n, one(f"2×TRIL{k}"), one(f"TRIL{k}")) for k in ("", ", K=5", ", K=10")),
    ),
    Claim(
        "Real-NVP is poor", "5.1", "the relatively poor performance of NVP",
        "test cross entropy above TRIL and above 2×TRIL with K = 10",
        lambda n: join(below(n, one(row), one(NVP)) for row in ("TRIL", "2×TRIL, K=10")),
    ),
    Claim(
        "BIDI improves only slightly", "5.1", "the bidirectional inference model only slightly improves performance "
        "compared to the equivalently parametrized standard model",
        "test cross entropy below 2×TRIL, K=10, by at most 0.1 nats; printed are numbers of one training each; "
        "that on the training half is higher",
        lambda n: join(
            judge(n, one("2×TRIL, K=10, BIDI"), one("2×TRIL, K=10"), *margin)
            for judge, margin in ((below, ()), (close, (0.1,)))
        ),
    ),
    Claim(
        "the baseline's cross entropy is poor", "5.1", "The poor cross-entropy achieved by the baseline",
        "test cross entropy of both GRUs above TRIL; ours exact, by the chain rule",
        lambda n: join(below(n, one("TRIL"), one(row)) for row in BASELINES),
    ),
    Claim(
        "the baseline's cross entropy is poor, sampled", "4.1, 5.1",
        "all models which operate by first stochastically generating a sequence of "
        "hidden states", "the same, both sides estimated from the largest number of sequences of hidden states that "
        "both have; Table 1's is not printed", sampled_baseline,
        check=True,
    ),
    Claim(
        "the baseline's number is nearer to a sampled one", "4.1", "all models which operate by first stochastically "
        "generating a sequence of hidden states", "the printed test cross entropy nearer to ours at the largest number "
        "of sequences of states than to ours exact; nearer is not equal", read_by_sampling, check=True,
    ),
    Claim(
        "the baselines' difference fits sampling", "4.1, 5.1", "12.97 and 12.60, not said how", "BASELINE-8D less "
        "BASELINE-16D as printed nearer to ours at the largest number of sequences of states than to ours exact",
        difference_by_sampling, check=True,
    ),
    Claim(
        "the baselines' level fits sampling", "4.1, 5.1", "12.97 and 12.60, not said how", "each printed number within "
        "0.2 nats of ours at the largest number of sequences of states, which is what another corpus may make",
        lambda n: level_by_sampling(n, 0.2), check=True,
    ),
    Claim(
        "on par in the set-based measures", "abstract", "on par with a comparable auto-regressive model on the task of "
        "word generation", "w unique and w in V of 2×TRIL, K=10, at most 0.02 below BASELINE-8D",
        lambda n: join(
            below(n, one("BASELINE-8D", column), one("2×TRIL, K=10", column), 0.02) for column in (UNIQUE, KNOWN)
        ),
    ),
    Claim(
        "set-based measures vary more", "5.1", "the set-based measures have much higher variance than cross entropy",
        "standard deviation over seeds relative to the mean, pooled over the rows of Table 1 with two seeds or more",
        variation,
    ),
    Claim(
        "the noise is used", "2.1, 4.2", "the noise process […] cannot be ignored in a successfully trained model",
        "H_gap above 0.1 nats in every row (it cannot be negative, nor can its estimate)",
        lambda n: gap_above(n, 0.1),
    ),
    Claim(
        "the gap is largest first", "5.2", "the gap is largest first and decreases over time",
        "mean gap of the first step above that of each later one, word by word", along(first_largest),
    ),
    Claim(
        "the gap decreases", "5.2", "the gap is largest first and decreases over time",
        "negative slope of the gap over the steps", along(decreasing),
    ),
    Claim(
        "the gap's variance grows", "5.2", "yet with increased variance",
        "standard deviation over words at each later step above that at the second; at the first, where h_0 is the "
        "same for all, what differs is the noise of the estimate",
        along(spreading),
    ),
    Claim(
        "the alternative split is harder", "5.1", "generalization for the alternative split is indeed harder",
        "H[P_test, P^] - H[P_train, P^] larger in Table 2 than in Table 1; of one draw of the types, whose chance the "
        "error does not know", harder,
    ),
    Claim(
        "the alternative split is harder, net of entropies", "5.1",
        "generalization for the alternative split is indeed harder",
        "the same after subtracting from each cross entropy the entropy of its half, which differs with the split",
        harder_net, check=True,
    ),
    Claim(
        "Table 1 carries over", "5.1", "cross entropy results carry over from the standard setting",
        "2×TRIL, K=5, below BASELINE-8D on both halves of Table 2",
        lambda n: join(below(n, two("2×TRIL, K=5", column), two("BASELINE-8D", column)) for column in (TRAIN, TEST)),
    ),
    Claim(
        "on par under n-grams", "5.1", "Under the n-gram models the models are on par", "perplexities within 5 %",
        lambda n: join(
            within_share(n, two("2×TRIL, K=5", column), two("BASELINE-8D", column), 0.05) for column in (THREE, FIVE)
        ),
    ),
    Claim(
        "slight advantage under 5-grams", "5.1", "with a slight advantage of the baseline under 5-grams",
        "the baseline's perplexity below", lambda n: below(n, two("BASELINE-8D", FIVE), two("2×TRIL, K=5", FIVE)),
    ),
    Claim(
        "no annealing needed", "abstract", "training an evidence lower-bound without resorting to annealing",
        "test cross entropy of words-tril at most 0.05 nats above words-tril-annealing, of the same schedule",
        lambda n: below(n, f"words-tril.{CROSS}", f"words-tril-annealing.{CROSS}", 0.05),
    ),
    Claim(
        "DIAG stagnates", "5", "less complex generative flows, i.e. DIAG stagnated at very low performance",
        "test cross entropy of words-diag more than 0.1 nats above words-tril, of the same schedule",
        lambda n: below(n, f"words-tril.{CROSS}", f"words-diag.{CROSS}", -0.1),
    ),
    Claim(
        "a richer F_q does not help", "5", "More complex inference flows resulted in unstable training",
        "test cross entropy of words-tril at most 0.05 nats above words-tril-inference_tril, of the same schedule; "
        "that a training was unstable shows in its curve, not here",
        lambda n: below(n, f"words-tril.{CROSS}", f"words-tril-inference_tril.{CROSS}", 0.05),
    ),
    Claim(
        "the oracle is in nats", "5.1", "ORACLE 7.0",
        "the printed number nearer to the entropy of our training half in nats than in bits", oracle_unit,
        check=True,
    ),
    Claim(
        "the models are in nats too", "5.1", "H[P_test, P^], no unit", "each printed test cross entropy nearer to ours "
        "in nats, the headline or at any K, which is not printed, than to our headline in bits; the corpus is another",
        lambda n: models_unit(n, (*STATE_SPACE, *BASELINES)), check=True,
    ),
    Claim(
        "better than a uniform guess", "4.1", "we can reliably approximate the cross-entropy",
        "test cross entropy of every model below the log of the number of words of V, both in nats", uniform,
        check=True,
    ),
    Claim(
        "20 trajectories suffice", "4.1, 5.2", "using only K independent trajectories […] We use K = 20 sample to "
        "approximate the marginal in (12)", "test cross entropy at K = 20 at most 0.1 nats above the headline",
        lambda n: few_suffice(n, 0.1), check=True,
    ),
    Claim(
        "Table 1 is of few trajectories", "5.1", "the latter effectively evaluates a single h sample on |V| datapoints",
        "the printed test cross entropy not below ours at K = 20", lambda n: located(n, STATE_SPACE), check=True,
    ),
    Claim(
        "few words are unique to the test set", "5", "even a small test-set under the former regime will result in "
        "only very few, very unlikely words unique to the test-set", "at most 0.1 % of the test tokens",
        lambda n: unseen(n, 0.001),
    ),
)  # fmt: skip
