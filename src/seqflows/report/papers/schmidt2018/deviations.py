"""Schmidt & Hofmann 2018 against this project, with the side taken; and what the paper contradicts itself in."""

from __future__ import annotations

from seqflows.report.papers.base import Contradiction, Deviation

CODE = "none released"

DEVIATIONS = (
    Deviation(
        "corpus (5)", "BooksCorpus, almost 1B tokens, 143K words after the filter", CODE,
        "counts of 3,076 English books of Project Gutenberg: 162,464,039 tokens, 96,726 words after the same filter",
        "BooksCorpus is not distributed any more; the counts are a file that can be replaced",
    ),
    Deviation(
        "test half (5)", "10 % of the tokens; its entropy is 6.80", CODE,
        "10 % of the tokens, whose entropy is that of the whole; beside it a smaller sample, split likewise",
        "the text; the sample's test half has the size that a printed entropy of 6.80 points to",
    ),
    Deviation(
        "estimate of the cross entropy (4.1)", "K trajectories, K not printed", CODE,
        "importance sampling with the trained posterior: the frequent words each, the others drawn by frequency, "
        "paired with prior trajectories; its error, and whether S / 2 to S moved it; trajectories at every K beside it",
        "a biased estimate is no property of the model",
    ),
    Deviation(
        "the baseline's P(w) (4.1)", "hidden states are generated first, then the word scored given them", CODE,
        "exact, by the chain rule; a sampled reading at every K beside it",
        "a GRU's states follow from the symbols: the mean of P(w | h) over states that other symbols drove tends to "
        "another distribution than its P(w), which one pass gives exactly",
    ),
    Deviation(
        "inverse of F_g (2.4)", "parametrizing the inverse directly trains better, depending on the flow", CODE,
        "F_g is parametrised, its inverse a substitution",
        "eq. (10) defines F; which flows were inverted is not said",
    ),
    Deviation(
        "several TRIL (2.4)", "a chain of flows", CODE, "at each h_{t-1} the chain is multiplied out to one triangular "
        "map", "the same function: products of lower triangular matrices are lower triangular",
    ),
    Deviation(
        "scoring beyond the paper", "–", CODE, "a sample of the importance sampling is a pass of Algorithm 1 with "
        "the row's K; -ELBO is the bound that was trained",
        "the product of the steps' mean weights is unbiased for P(w) at any K",
    ),
    Deviation(
        "variance of the weights ω (5.1)", "grows during training; no number", CODE,
        "of the K weights of a step, their mean 1, on the validation tokens after each epoch: weight_variance in "
        "history.csv", "the smallest reading; the paper shows none",
    ),
    Deviation(
        "free-running baseline (footnote 4)", "fails miserably", CODE, "not tried", "no number to reproduce",
    ),
    Deviation(
        "Figure 2's words", "not said how many", CODE, "as many generated words as the run's gap_words",
        "ours: boxes are of all of them that are still alive at the step",
    ),
    Deviation(
        "seeds and errors", "one number a cell", CODE, "seeds as params.yaml lists them; a row of one seed has the "
        "spread over seeds of the rows with several",
        "ours: an ordering within two standard errors is called undecided, and so is one of runs that were trained by "
        "different schedules or scored by different estimators",
    ),
)  # fmt: skip

CONTRADICTIONS = (
    Contradiction(
        "Table 1, against a uniform guess", "cross entropies from 11.41 to 12.97, no unit",
        "A uniform guess over V = 143K scores log 143,000 = 11.87 nats. In nats BASELINE-8D (12.97), BASELINE-16D "
        "(12.60), TRIL K=2 (12.20), TRIL (11.93) and 2×TRIL (11.89) are worse than that. In bits 12.97 would be 8.99 "
        "nats, and fine, but then ORACLE's 7.0 would be 4.85 nats, where English word counts have about 7. One unit "
        "does not fit both; the claim on the models' unit sets ours beside both readings.",
    ),
    Contradiction(
        "4.1, reliably approximate", "P(w) = (1/K) Σ P(w | h^k), its log averaged over words",
        "The equation is an estimate, and by Jensen E[-log (1/K) Σ P(w | h^k)] >= -log P(w), at every K: the printed "
        "cross entropies are above the models' own by an amount that is not given. All words share the trajectories, "
        "so that a spread over words does not show it.",
    ),
    Contradiction(
        "Table 1, how BASELINE was scored", "12.97 and 12.60, below every other row in quality",
        "Not in bits: GRU-8 scores 10.88 nats on our corpus, 15.7 bits. Not exactly with a GRU that was stopped early: "
        "ours passes 12.97 within the first 250,000 words, and at a bigram's 12.35 a third of the probability is on V, "
        "0.53 printed. By states that the model's own symbols drive (4.1) ours has the printed difference of the two "
        "sizes (0.32 against 0.37, exact 0.96), but at 13.62 and 13.30, 0.65 and 0.70 above the print; the corpus may "
        "make 0.15 of that. Sampling is the best reading that we have, and half a nat of it is unexplained.",
    ),
    Contradiction(
        "5.1, why the baseline scores poorly", "the data-space distribution would require normalizing over all "
        "possible sequences", "P(w) = Π P(w_t | w_<t) is normalised step by step: with an end symbol it "
        "sums to one over all words, and one pass of teacher forcing gives it exactly.",
    ),
    Contradiction(
        "5.1 against 5.2 and 4.1, the number of trajectories", "effectively evaluates a single h sample",
        "4.1 has K trajectories for all words, 5.2 K = 20 “to approximate the marginal in (12)”, which is P(w), in a "
        "section about (14), which is of P(w_t). Table 1's K is thus 1, 20 or another.",
    ),
    Contradiction(
        "footnote 5 against the 10 % split", "the entropy of the test set is 6.80",
        "A tenth of 1B tokens has the entropy of the whole: on the Gutenberg counts 7.039 nats for both halves, and "
        "the training half scores 7.043 on the test half. An entropy 0.2 below the oracle's 7.0 is that of a small "
        "sample: the dataset words_sample splits one of 650,000 tokens.",
    ),
    Contradiction(
        "footnote 5, the oracle is not optimal", "the training-set oracle is not optimal for the test set: 6.80",
        "6.80 is what the test counts score on themselves. No model that has not seen them can be expected below the "
        "entropy of the source, about 7.0: the 0.22 between 7.02 and 6.80 are the sample's chance, not a shortcoming.",
    ),
    Contradiction(
        "5.1, relatively poor performance of NVP", "REAL-NVP is poor",
        "Table 1: its cross entropies 11.77 and 11.81 are below TRIL (11.88, 11.93), TRIL K=2 (11.96, 12.20) and "
        "2×TRIL (11.85, 11.89). Among the models without importance weighting it is the best.",
    ),
    Contradiction(
        "5.1, importance weighting improves all metrics", "significantly, across all metrics",
        "Table 1: with K=2 TRIL gets worse in both cross entropies (11.96, 12.20 against 11.88, 11.93) and in H_gap "
        "(0.94 against 1.07). w in V falls for 2×TRIL from 0.55 to 0.54 at K=5, for TRIL from 0.62 to 0.59 at K=10.",
    ),
    Contradiction(
        "5.1, two layers improve performance", "two layers of TRIL improve performance",
        "By 0.03 and 0.04 nats at K=1; w in V falls from 0.62 to 0.55, at K=5 from 0.63 to 0.54, at K=10 from 0.59 to "
        "0.56, and H_gap at K=1 from 1.07 to 0.87, at K=5 from 1.30 to 1.23.",
    ),
    Contradiction(
        "2.4, n×TRIL as a richer flow", "flows are composed",
        "With h_{t-1} fixed each TRIL is affine in its noise with a lower triangular matrix, and so is their "
        "composition: p(h_t | h_{t-1}) is a Gaussian for every n, as for one. What a second layer adds is a larger "
        "network of h_{t-1}, and variances down to δ⁴ where one clipped diagonal ends at δ².",
    ),
    Contradiction(
        "2.7, tracking a multi-modal F_g", "the proposals let inference track a multi-modal F_g",
        "Every row with K > 1 has F_g = TRIL or 2×TRIL, whose p(h_t | h_{t-1}) is a Gaussian: no F_g that was tracked "
        "is multi-modal. REAL-NVP, which could be, has no row with K > 1.",
    ),
    Contradiction(
        "5.1, BIDI slightly improves", "the bidirectional inference model only slightly improves performance",
        "Table 1: its test cross entropy is 0.02 lower (11.41 against 11.43), that on the training half 0.08 higher "
        "(11.45 against 11.37), H_gap lower (1.36 against 1.42). No other row is better on the test half.",
    ),
    Contradiction(
        "Table 2, likelihood under n-grams", "P_3-gram(w) 21.74 and 22.54, P_5-gram(w) 66.15 and 64.92",
        "No probability exceeds 1. As perplexities a character the 5-gram's lie above 27, the perplexity of a uniform "
        "guess over 26 letters and an end symbol, and above the 3-gram's, on which a Kneser-Ney 5-gram falls back.",
    ),
    Contradiction(
        "Table 2, the alternative split is harder", "test 12.49 and 13.55 against 11.45 and 12.97 in Table 1",
        "Cross entropies on halves of unequal entropy do not compare. Which frequent words fall into a tenth of the "
        "types is chance: on the Gutenberg counts one draw gives a test half of 4.64 nats beside a training half of "
        "6.95. Table 2 prints neither.",
    ),
    Contradiction(
        "4.2, unit of H_gap", "we know how many bits of the output distribution are due to the noise",
        "Section 5 prints 0.87 to 1.42 without a unit beside cross entropies that are in nats: in bits they would be "
        "0.60 to 0.98 nats.",
    ),
)  # fmt: skip
