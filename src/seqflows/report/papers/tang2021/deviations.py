"""Where Tang et al. 2021, their code and this project differ, and what the paper contradicts or leaves open."""

from __future__ import annotations

from seqflows.report.papers.base import Assumption, Contradiction, Deviation

DEVIATIONS = (
    Deviation(
        "what the loss is divided by",
        "M log 2, M the dimensions of x (A.5)",
        "300 log 2, the width of one word vector",
        "M log 2; `nll_code` and `nll_code_train` give ours as the code would print it in validation and in training, "
        "of vectors without noise",
        "a factor of the length, 64 or 256, between the two",
    ),
    Deviation(
        "log-determinants",
        "one a sequence (eq. (5))",
        "averaged over the batch before the loss",
        "one a sequence",
        "the mean over sequences is the same; errors over sequences are not",
    ),
    Deviation(
        "discretisation levels d",
        "2^6 in A.5, 128 in section 2.1; eq. (6) subtracts M log d from -log p",
        "64 in training, 1 in validation; 300 log d is added to -log p",
        "2^6, subtracted M times",
        "doubling d lowers eq. (6) by one bit per dimension; in the code 64 levels raise the loss by 6",
    ),
    Deviation(
        "noise u on the word vectors",
        "Gaussian, alpha = 1/2^6, in training and in testing (2.1, A.5)",
        "none: the vectors themselves are scored",
        "deviation 2^-6, drawn anew at every call; `nll_noiseless` scores the vectors themselves",
        "without noise x is discrete and its density has no bound: the likeliest reason for cells below the floor",
    ),
    Deviation(
        "vectors of padding",
        "not said",
        "a vector that is learned with the flow",
        "that of <pad>, frozen",
        "a learned input can raise the score by moving where the density is high",
    ),
    Deviation(
        "the first block",
        "half of its channels leave as z_1, the other half goes on (section 2.2)",
        "all of its output is scored, and all of it goes on",
        "half leaves, half goes on",
        "the code's map has more numbers out than in: not a bijection, and its sum of log-densities no density. "
        "tests/test_language.py builds a model of that shape and integrates it",
    ),
    Deviation(
        "the last latent",
        "z ~ N(0, I)",
        "the first and the last block's have a learned mean and deviation, the same at each position",
        "N(0, I); what leaves between scales has a Gaussian learned from what stays",
        "little: the actnorm before it can learn the same",
    ),
    Deviation(
        "networks of the couplings",
        "transformers and LSTMs, 128M and 196M parameters in all (A.5)",
        "6 heads, inner width twice the input's, no positions; a Bi-LSTM of one layer",
        "learned positions; at scale paper 8 heads and widths that meet the paper's counts, else as params.yaml says",
        "without positions attention sees a set; the sizes of the code are not the paper's",
    ),
    Deviation(
        "training",
        "Adam, rate 5e-5 (A.5)",
        "rate 8e-4, 6 steps a block and length 16 by default; gradients clipped at norm 1",
        "rate 5e-5 at scale paper, no clipping there",
        "the code's defaults are not the settings of the tables",
    ),
    Deviation(
        "words",
        "GloVe",
        "commas are removed; a word without a vector gets 0.4 N(0, I), words seen once are unknown",
        "commas stay; a word without a vector gets the known vectors' moments; min_count as params.yaml says",
        "a text with fewer commas is another text",
    ),
    Deviation(
        "where the mixing over time starts",
        "an invertible 1x1 convolution over time, following Glow (2.1), which starts at a random rotation",
        "a random rotation",
        "a random permutation, L = I, U = 0 and s = 1, trained from there (`start: permutation`, not `rotation`)",
        "a dense rotation makes of every step a mixture of all words, which couplings over time have to take apart: "
        "results/LOG.md has both, three seeds",
    ),
    Deviation(
        "channels of the autoregressive flow",
        "a lower triangular convolution over time (2.3); nothing mixes channels between two cells",
        "two linear maps of all channels in each cell",
        "an invertible 1x1 convolution over channels before each cell (`mixing: both`; `time` is without)",
        "without it all K cells split the channels into the same two halves: results/LOG.md has both, three seeds",
    ),
    Deviation(
        "permutation entries",
        "L, U and s (Glow)",
        "the same",
        "L and U held times sqrt(size)",
        "ours: at T = 256 Adam otherwise leads within a few steps to matrices that float32 does not invert to 1e-4",
    ),
    Deviation(
        "s of the affine couplings",
        "sigma(s + alpha)",
        "alpha = 2",
        "alpha = 2, s softly bounded: 7 tanh(s / 7)",
        "ours: every gate inverts in floating point",
    ),
    Deviation(
        "autoregressive flow, question generation, translation, augmentation",
        "described",
        "an AC-cell that nothing calls, conditioned on its input both ways; the rest is not released",
        "built from the text; two cells, as the text has two readings",
        "the released cell is on the side of eq. (14), which is the default here",
    ),
    Deviation(
        "h_a and h_b of the AC-cell",
        "invertible functions with r as condition (eq. (11))",
        "two linear maps of all channels by LU, then t and sigma(s + 2) from r alone; r reads c of the step before too",
        "affine couplings over halves of the channels, with r, after a 1x1 convolution over channels",
        "a coupling's scale and shift see half of the channels as well as r; the first step is the identity in both",
    ),
    Deviation(
        "noise of samples",
        "a Gaussian distribution (Table 1)",
        "deviation 1.15",
        "deviation 1",
        "samples of a wider base are none of the model whose density is reported",
    ),
    Deviation(
        "word vectors",
        "GloVe, 300 dimensions",
        "840B tokens, 300 dimensions",
        "scale paper: 840B-300d; scale laptop: 6B-50d, all 400,000 words",
        "what can be had without 2 GB",
    ),
    Deviation(
        "TVQA text",
        "subtitles, localised",
        "subtitles",
        "Table 4 of scale paper: subtitles; scale laptop: questions",
        "the questions are public in the authors' repository; the subtitles' archive has no published checksum",
    ),
    Deviation(
        "text of Tables 1 and 2",
        "TVQA questions",
        "questions, without answers",
        "those that Table 4's TVQA models were trained on: at scale paper subtitles, at scale laptop questions",
        "no model is trained for two tables of samples alone",
    ),
    Deviation(
        "seeds and errors",
        "one number a cell",
        "seed 2020",
        "seeds as params.yaml lists them, errors over sequences",
        "ours: an ordering within two standard errors is called undecided",
    ),
)

CONTRADICTIONS = (
    Contradiction(
        "Table 4, SQuAD: Att-S, RNN-S, Att-AR, RNN-AR",
        "-17.12 to -17.26 bits per dimension",
        "x~ is x plus independent noise of deviation 2^-6, so its differential entropy is at least the noise's: "
        "(1/2) log2(2 pi e) - 6 - 6 = -9.95 bits per dimension at 2^6 levels, -10.95 at 128. No density has a lower "
        "expectation of -log p: these four cells are unreachable as defined",
    ),
    Contradiction(
        "eq. (8) and figure 1",
        "Split(z_0, dim: time)",
        "figure 1's caption splits along the hidden dimension; followed is eq. (8)",
    ),
    Contradiction(
        "eq. (11) and (14)",
        "r is made of z_(k+1) going forward, of its counterpart going back",
        "the inverse of a map that conditions on its output does not condition on its input: one of the two is not the "
        "other's inverse. The default cell conditions on the input both ways; the literal one is eq. (11) with the "
        "inverse that fits",
    ),
    Contradiction(
        "sections 2.3 and A.8",
        "we have to remove the multi-scale architecture (2.3)",
        "augmentation takes K = 32, L = 4, autoregressive (A.8); followed is 2.3, L = 1",
    ),
    Contradiction(
        "section 2.1 and A.5",
        "d (= 128)",
        "A.5: d is set to 2^n, n = 6; followed is A.5",
    ),
)

ASSUMPTIONS = (
    Assumption(
        "noise", "a Gaussian sample with alpha = 1/2^6", "standard deviation 2^-6", "not said which moment it is",
    ),
    Assumption(
        "splits of SQuAD", "the second half of the development set is shown (A.2)", "its articles in file order, the "
        "first half for validation; no paragraph in two splits", "the list of the halves is not published",
    ),
    Assumption(
        "splits of TVQA", "the validation split is scored", "scale paper: the same, a tenth of the training clips "
        "validates; scale laptop: a tenth of the public clips each for both", "questions of one clip stay together",
    ),
    Assumption(
        "tokens", "not said", "lower case, punctuation apart; a word seen less than min_count times is <unk>",
        "as GloVe's own tokens, so that most have a vector",
    ),
    Assumption("which half leaves", "z_1 and the rest (section 2.2)", "the second half of the channels", "as in Glow"),
    Assumption(
        "squeeze", "(b, s, h) to (b, s/2, 2h) (section 2.2)", "channel by channel: (z_2t, z_2t+1) interleaved", "the "
        "released code's; end to end, the next split would part words, not coordinates",
    ),
    Assumption(
        "noise of regenerated contexts", "variance 1.0 in training and 0.5 at inference, tuned from 1.0 by 0.1 (A.8)",
        "deviations 0.1, 0.5, 0.707 and 1.0 side by side; 0.707 is variance 0.5", "Table 3 does not say which it is of",
    ),
    Assumption("noise on padding", "not said", "on every position", "else the padding's density has no bound"),
    Assumption("special tokens", "not said", "<s> text </s>, then <pad>; cut at the length", "every text has an end"),
    Assumption(
        "words without a vector", "not said", "a Gaussian with the known vectors' moments, drawn by the word's sha256",
        "the same word has the same vector in every run; no two tokens share one",
    ),
    Assumption(
        "Bi-LSTM", "a 3-layer bidirectional LSTM-RNN of hidden size 300; transformation through only non-singular "
        "matrix weight (A.5)", "three affine layers, given the strictly earlier, later and earlier positions",
        "triangular in time, so a bijection and a density",
    ),
    Assumption("alpha", "a hyperparameter", "2", "the released code's"),
    Assumption(
        "sizes of the networks", "128M (attention), 196M (RNN), 130M (autoregressive)",
        "scale paper: width 512 with 3,712 inner units; 810 and, over channels, 890; 512 with 2,688 and 800",
        "chosen to meet the parameter counts within 10 %",
    ),
    Assumption(
        "mix ratios", "0.6, 0.5 and 0.4 from Sentence1 down to Sentence2 (Table 2)",
        "a ratio r weighs the first sentence: r f(a) + (1 - r) f(b)", "the text printed at 0.6 is nearest to Sentence1",
    ),
    Assumption(
        "left-to-right decoding", "cosine similarity as token generation probability",
        "a token's score is its cosine similarity, summed in the beam; its vector conditions the next step", "not said",
    ),
)  # fmt: skip
