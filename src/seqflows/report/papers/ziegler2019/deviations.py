"""Paper against released code against this project, with the side taken; and what the paper contradicts itself in."""

from __future__ import annotations

from seqflows.report.papers.base import Contradiction, Deviation

DEVIATIONS = (
    Deviation(
        "posterior variance (5)", "σ_t² I, one variance a step", "one variance a dimension", "one variance a dimension",
        "the code made the numbers, and the text calls q a diagonal Gaussian",
    ),
    Deviation(
        "music columns (6.2)", "88 keys", "89: an always-zero column first, which doubles as padding", "88",
        "the paper; the extra Bernoulli is always 0, so that it costs next to nothing and says nothing",
    ),
    Deviation(
        "character vocabulary (6.1)", "V = 51", "51 with `<unk>` and `<pad>` added as symbols",
        "the 49 characters of the training file",
        "neither symbol occurs: the text `<unk>` is five characters, padding is masked",
    ),
    Deviation(
        "p(T): smoothing (C)", "empirical likelihood", "one added to every count", "one added to every count",
        "unsmoothed, 23 of 25 Piano, 36 of 124 MuseData, 13 of 170 Nottingham and 7 of 77 JSB test "
        "lengths have probability 0; on PTB, where nothing forces it, a deviation from the paper",
    ),
    Deviation(
        "p(T): support (C)", "not said", "music: to 1.25 times the longest length",
        "music: to 1.25 times the longest of training and validation; text: to the limit",
        "some test pieces are longer than any seen; no sentence is longer than the limit, which says so itself",
    ),
    Deviation(
        "NLSq: α (B)", "0.95", "1 - 0.05 / (8√3 / 9), about 0.9675", "0.95",
        "the paper; the slope keeps at least 5 % of b",
    ),
    Deviation(
        "NLSq: parameter scales (B)", "b = exp(b'), d = exp(d'), tanh(c')", "b', c', d' times 0.4, 0.3, 0.4",
        "the code's scales; b = exp(s(0.4 b')), d = exp(s(0.4 d')) with the soft bound s(v) = 7 tanh(v / 7)",
        "the code made the numbers; ours: no log-slope beyond 7, past which floating point cannot invert",
    ),
    Deviation(
        "affine: parameter scale (3)", "b = exp(b')", "exp(b' / 2)", "exp(s(b' / 2))", "as for NLSq",
    ),
    Deviation(
        "NLSq: the cubic's root (B)", "closed form",
        "closed form in float32: strays by up to 0.08 and gives a non-finite value "
        "about once in 200,000 standard-normal draws",
        "Cardano's formula in float64, written without cancellation; implicit gradients",
        "a flow has to invert: residual at most 1e-6 (1 + |y|) over a million draws is tested",
    ),
    Deviation(
        "Table 2, - AF hidden", "row: AF-in-hidden removed; caption: an independent vector *affine* transformation",
        "–", "independent NLSq", "the caption's model is the last row, - AF hidden and NLSq",
    ),
    Deviation(
        "Table 3's unit", "nats per note", "nats per time step", "nats per time step (T + 1 of them)",
        "the magnitudes are those of time steps: about 4 notes sound at a step",
    ),
    Deviation(
        "T or T + 1, log p(T)", "not said", "sum of NLL / sum of (T + 1), log p(T) included",
        "the code's as headline; per T without log p(T) beside it for music",
        "the length counts as a symbol; the quoted rows follow the literature's convention",
    ),
    Deviation(
        "reconstruction term", "E_q[log p(x | z)]", "with -log p(T), about 0.067 bpc on PTB",
        "headline with it, the pure term beside",
        "it is more than the 0.01 bpc that a claim turns on",
    ),
    Deviation(
        "importance samples K (6.1)", "50", "30 by default, 4 for the long music sets",
        "50 as headline, the smaller and larger K of the run's block beside it, with the effective sample size",
        "the paper; the estimate falls with K, so that K has to be stated",
    ),
    Deviation(
        "KL weight (D)", "0 for 4 epochs then linear over 10; music 20 then 15",
        "1e-5 in the place of 0; interpolated within an epoch, the rise beginning an epoch later",
        "1e-5 in the place of 0; interpolated within an epoch, the rise beginning where the paper has it",
        "the code, but for the epoch: Adam does not see a gradient's scale, so that at 1e-5 the prior "
        "learns from the start",
    ),
    Deviation(
        "Adam at a drop of the rate (D)", "not said", "state reset: a new optimiser", "state reset", "the code",
    ),
    Deviation(
        "model selection (D)", "not said", "best validation ELBO after the KL ramp",
        "best validation ELBO after the KL ramp",
        "the code; before the ramp's end the losses are not of one objective",
    ),
    Deviation(
        "position conditioning (C)", "two one-hot vectors concatenated at every step", "one-hot vectors over max T",
        "two learned tables, looked up and added, 32 wide (8 at demo), which all networks share; "
        "a position starts with a symbol's norm",
        "ours: a one-hot times a matrix is a look-up. Tables as wide as the networks, 500, and louder than the symbols "
        "cost 0.6 nats on JSB at the paper's size; narrow ones come out where one-hots do (results/LOG.md)",
    ),
    Deviation(
        "position and the flow (C)", "conditioning of every network", "the prior's LSTM alone sees the position",
        "the prior's LSTM and its first state alone; AF-only's flow, which has no LSTM, sees it", "the code",
    ),
    Deviation(
        "MADE and its context (4.3)", "every scalar transformation is conditioned on z_<t",
        "context into the hidden units", "context into the hidden units",
        "the code; a linear path into the parameters beside it was tried and did not help (results/LOG.md)",
    ),
    Deviation(
        "initial weights", "not said",
        "embeddings, posterior, output maps, couplings and the first state's network within ±0.07, "
        "MADE's hidden layers within ±0.001", "the same; recurrent layers as torch draws them", "the code",
    ),
    Deviation(
        "posterior's parameters (5)", "not said", "mean and log σ²", "mean and log σ",
        "ours: nothing was measured to hang on it",
    ),
    Deviation(
        "KL term in training (5)", "Monte Carlo estimate of the ELBO", "sampled log q - log p",
        "-H(q) in closed form minus sampled log p",
        "ours: the same expectation with less variance; scoring samples both",
    ),
    Deviation(
        "state before the first step (D)", "not said", "a small ReLU network of the position",
        "the same, its hidden part through tanh", "ours: an LSTM's state lies in (-1, 1)",
    ),
    Deviation(
        "gradient accumulation (D)", "not said", "batch 1, 8 accumulations for Piano-midi and MuseData",
        "one batch where memory allows",
        "ours: the same mathematics, fewer kernels; its 8 pieces are neighbours in length, not 8 of any length",
    ),
    Deviation(
        "baseline's optimiser (D)", "Adam, rate 1e-3, for all models", "SGD, rate 20, for the LSTM baseline",
        "SGD, rate 20; a row `LSTM, Adam` beside it. At demo, where SGD learns next to nothing in so few steps, "
        "both by Adam",
        "the code made the numbers; which optimiser is the better baseline is to be seen, not assumed",
    ),
    Deviation(
        "baseline before the first symbol", "not said", "a state of zeros: the first symbol knows no position",
        "a learned vector is read, with the first position",
        "ours: the baseline knows T at every symbol, as the flows do; it can only gain by it",
    ),
    Deviation(
        "fall of the rate (D)", "not said", "divided by 4 after 1 epoch without a better validation loss on PTB, 2 for "
        "flows on music, 4 for the LSTM on music",
        "the code's at scale paper; at laptop and demo by 4 after 70 % and again after 90 % of the epochs, "
        "in every row",
        "the code; where epochs are few, whether a noisy bound lets the rate fall is luck, worth 0.06 to 0.34, "
        "and rows that differ in it cannot be compared",
    ),
    Deviation(
        "batch sizes (D)", "not said", "15 sentences; flows 5 pieces, 1 for Piano-midi and MuseData; "
        "the LSTM on music 15, the default, which its README's commands leave", "the code's at scale paper", "the code",
    ),
    Deviation(
        "dropout (D)", "0.2; none for IAF", "0.2, 0.1 for the LSTM; the README's commands turn it off for IAF / SCF on "
        "characters alone, and so leave 0.2 on music", "the README's at scales laptop and paper",
        "the code made the numbers",
    ),
    Deviation(
        "longest sentence (6.1)", "less than 288", "288 of them at most", "at most 288",
        "the code: 7 more training sentences",
    ),
    Deviation(
        "posterior's scale (5)", "not bounded", "not bounded", "log σ kept within ±8",
        "ours: a step that overshoots does not end a training; no trained posterior comes near",
    ),
    Deviation(
        "validation (D)", "not said", "ELBO by one sample of the posterior",
        "the same, with the same noise every epoch",
        "the code; one noise makes epochs comparable",
    ),
    Deviation(
        "batches (D)", "not said", "by length", "of equal length where there are enough, else of neighbours in length",
        "ours: padding is the exception",
    ),
    Deviation(
        "hidden flow of music AF / AF (D)", "5 layers of SCF-in-hidden for all models on the polyphonic datasets",
        "AF-in-hidden", "AF-in-hidden", "the row of Table 3 is called AF / AF",
    ),
    Deviation(
        "figure 3a", "PixelCNN++ on CIFAR-10", "–", "out of scope", "images; it motivates and measures no model here",
    ),
    Deviation(
        "figure 6's z", "one sample of q(z | x)", "–", "the mean of q(z | x)", "ours: the same figure at every run",
    ),
    Deviation(
        "figure 7's machine", "one V100, cuDNN", "–", "the device that the figure names",
        "the claim rests on cuDNN's parallel input products: on a CPU it is another question",
    ),
    Deviation(
        "figure 7's models", "trained", "–", "of the same sizes, with fresh weights",
        "ours: the time of a sequence of a given length does not depend on the values of the weights",
    ),
    Deviation(
        "seeds and errors", "one number a cell", "–", "seeds as params.yaml lists them, standard errors over sequences",
        "ours: an ordering within two standard errors is called undecided",
    ),
)  # fmt: skip

CONTRADICTIONS = (
    Contradiction(
        "6.1, KL share", "KL always over 90 % of the ELBO",
        "Table 1, IAF / SCF: 1.55 / (0.21 + 1.55) = 88.1 %; "
        "Table 2, - AF hidden and NLSq: 1.56 / (0.29 + 1.56) = 84.3 %.",
    ),
    Contradiction(
        "6.2, Nottingham", "AF / AF outperforms all models",
        "Table 3: RNN-NADE 2.31 < AF / AF 2.39; the very next sentence says that it approaches RNN-NADE.",
    ),
    Contradiction(
        "6.2, classes", "LSTM the weakest class, RNN-NADE the strongest",
        "Table 3: on Piano the LSTM (7.77) is better than TSBN 7.89, SRNN 8.2, DMM 7.83 and all three flows; "
        "on Nottingham TSBN (3.67) is worse than it (3.43); on JSB NASMC (3.99) and SRNN (4.74) beat RNN-NADE (5.19).",
    ),
    Contradiction(
        "Table 2, removing NLSq", "NLSq adds flexibility",
        "Without AF-in-hidden the printed NLL *falls* by 0.01 when NLSq goes (1.57 to 1.56) while the bound rises by "
        "0.14 (0.14 + 1.57 = 1.71 to 0.29 + 1.56 = 1.85): the gap between bound and NLL doubles from 0.14 to 0.29 bpc.",
    ),
    Contradiction(
        "Table 2's caption", "- AF hidden uses an independent affine transformation",
        "Then it would be the same model as - AF hidden and NLSq, but the rows differ (reconstruction 0.14 and 0.29).",
    ),
    Contradiction(
        "Table 3's caption", "nats per note",
        "The quoted rows are nats per time step in their own papers. Nottingham's test set has 3.99 notes a step, so "
        "that 2.39 nats a note would be 9.5 nats a step, far above every quoted row (2.31 to 3.67).",
    ),
    Contradiction(
        "Appendix B, critical points", "ε* = (g ± √(1/3)) / d",
        "With u = dε + g the slope is b - 2cd u / (1 + u²)²; d/du [u / (1 + u²)²] = (1 - 3u²) / (1 + u²)³ = 0 at "
        "u = ±√(1/3), hence ε* = (-g ± √(1/3)) / d. The minimum slope b - 9|c|d / (8√3) is right.",
    ),
    Contradiction(
        "Appendix D, music", "5 layers of SCF-in-hidden for all models on the polyphonic datasets",
        "Table 3 has the rows AF / AF and AF / SCF with different numbers; with SCF in both they would be one model.",
    ),
    Contradiction(
        "6.1, footnote 2", "under 288 tokens: 99.3 % of the dataset",
        "Of the training sentences 41,733 of 42,068 = 99.20 % are shorter than 288 characters, of all 48,824 of "
        "49,199 = 99.24 %; 99.3 % is the test split's share (3,735 of 3,761 = 99.31 %).",
    ),
    Contradiction(
        "6.1, vocabulary", "V = 51",
        "The training file has 49 distinct characters among 4,975,414; 51 counts the code's `<unk>` and `<pad>`, "
        "which no sentence contains.",
    ),
)  # fmt: skip
