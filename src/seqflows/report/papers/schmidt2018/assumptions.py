"""What the text of Schmidt & Hofmann 2018 leaves open, and the choice made."""

from __future__ import annotations

from seqflows.report.papers.base import Assumption

ASSUMPTIONS = (
    Assumption(
        "unit of the cross entropies (Table 1)", "none printed", "nats a word; bits beside them",
        "the oracle's 7.0 fits nats: English word counts under the same filter have 7.04 nats, 10.16 bits",
    ),
    Assumption(
        "what a training example is (5)", "test-train split at the word level",
        "words drawn by their frequency, with replacement", "the cross entropies weigh words by frequency; the "
        "alternative, every type once, would fit another distribution than the one scored",
    ),
    Assumption(
        "end of a word (2.1)", "in practice one works with end-of-sequence tokens",
        "one end symbol after the last letter, 27 symbols in all; a generated word is cut after 12 letters",
        "footnote 1 says that there is one",
    ),
    Assumption("h_0 (2.1)", "starting from some h_0", "learned, zero at first", "no value is given"),
    Assumption(
        "P(w_t | h_t) (2.1)", "a softmax layer with symbol embeddings", "a linear map of h_t and softmax; its weights "
        "are the embeddings of the output, apart from those that the reader reads", "the usual reading",
    ),
    Assumption(
        "networks of TRIL and DIAG (2.4)", "g is a multilayer MLP, G a neural network; sizes not said",
        "one network with one hidden tanh layer of 32 gives both; the diagonal starts near 1",
        "the smallest MLP; tanh keeps g and G bounded, where with ReLU the product of n matrices grows like |h|^n and "
        "trajectories of 2×TRIL can run away to infinity",
    ),
    Assumption(
        "δ (2.4)", "0 < δ < 0.5", "0.1", "no value is given; at 0.1 a dimension still can be shrunk tenfold a step",
    ),
    Assumption(
        "clipping of the diagonal (2.4)", "clipped away from [-δ, δ]", "|d| below δ is set to δ, its sign kept",
        "either sign is admitted by the interval, and the determinant by its absolute value",
    ),
    Assumption(
        "Real-NVP (2.4, 5)", "conditional, masking dimensions d = 2…7, two hidden layers of size 8",
        "six couplings that keep 2, 3, … 7 dimensions, conditioned on h_{t-1}, the order of the dimensions reversed "
        "between them", "without a change of order two dimensions would pass all six as noise",
    ),
    Assumption(
        "F_q beside 2×TRIL and Real-NVP (5)", "DIAG by default", "one DIAG", "named as the default configuration",
    ),
    Assumption(
        "the reader (2.5)", "a GRU that runs backwards, d_E and its size not said; BIDI: a bidirectional RNN",
        "embedding 8, 32 units a direction; BIDI: GRUs both ways, their states concatenated",
        "the embedding as wide as the state, which the baseline's sentence suggests",
    ),
    Assumption(
        "posterior of ξ_t (2.5)", "h_{t-1} and a_t parametrize mean and covariance",
        "one ReLU layer of 32 on both, log σ kept within ±8", "no network is given",
    ),
    Assumption(
        "proposals (2.7, Algorithm 1)", "q_k(h | h_g^k, h_{t-1}, w_t:T)", "the same network, with h_g^k as one more "
        "input; mean and scale of ξ, then F_q", "the smallest change that sees h_g^k",
    ),
    Assumption(
        "gradient with K proposals (2.7)", "weights over a horizon of one step, one state resampled in proportion",
        "the gradient of log mean_k ω_t^k step by step, which is eq. (11); none through the resampling",
        "Appendix A says as much; the product of the means is unbiased for P(w), so that its log stays a bound",
    ),
    Assumption(
        "initialisation", "not said", "posterior's scale e^-1 at first, weights of the softmax doubled",
        "where the states begin as noise that nothing hears, training settles on symbol frequencies",
    ),
    Assumption(
        "optimizer settings (2.6)", "techniques such as Adam", "Adam; one schedule for all rows, the rate constant "
        "up to a share of the epochs (cosine_from), then by a cosine to 0; rates, batch sizes, clipping and words "
        "drawn as params.yaml has them", "nothing else is given; a rate that falls by a noisy validation bound falls "
        "in one row and not in another, by luck",
    ),
    Assumption(
        "validation", "none mentioned", "valid_tokens of the training tokens are held out; the epoch of "
        "the lowest validation loss is kept", "the test half then chooses nothing",
    ),
    Assumption(
        "baseline (5)", "a GRU cell, sizes identical to our model's; two rows, 8D and 16D",
        "embedding as wide as the state, 8 and 16; first state and first input learned", "what 8D and 16D can mean",
    ),
    Assumption(
        "the baseline, sampled, after its word's end", "not said", "a new word begins",
        "training never reads the end symbol, so that what its embedding would do next is chance",
    ),
    Assumption(
        "annealed variant", "not needed", "the KL weight 0, then linear to 1, as params.yaml has it",
        "to judge the sentence; the paper trains none",
    ),
    Assumption(
        "K of the cross entropies (4.1)", "K trajectories; 5.2 names K = 20, 5.1 a single one",
        "the headline by importance sampling with the trained posterior, S samples a word; settled where S / 2 to S "
        "moved the test cross entropy by less than 0.01 nats; trajectories at all K of params.yaml in the tables",
        "the estimate by trajectories is biased upwards, still by 0.04 to 0.2 at 100,000, more in rows with K > 1, and "
        "its error over sets does not see that",
    ),
    Assumption(
        "generated words N (Table 1)", "not said", "14,300 on real corpora; N = the number of training types beside it",
        "10 % of 143,000 gives ORACLE its 0.27 unique: 0.270 on Gutenberg, where 96,726 draws give 0.13",
    ),
    Assumption(
        "w unique (Table 1)", "wrt. the training set", "distinct words of V among N generated ones, divided by N; "
        "distinct words of any kind beside it", "by the caption; ORACLE has 0.27 either way, but a model that invents "
        "words has more distinct ones than ORACLE, where the table prints 0.11 to 0.15",
    ),
    Assumption(
        "w in V (Table 1)", "wrt. the training set", "the share of generated words that are training types, "
        "their symbols drawn; beside it words of the likeliest symbol of each sampled state, and a V of counts of 4 "
        "and more, 149,561 words", "words, not distinct words: ORACLE has 1.0 either way. A model that generates draws "
        "its symbols; the likeliest ones come nearer to the printed 0.62, 143K words for V give 0.03: hypotheses",
    ),
    Assumption(
        "words of the test set unseen in training (Table 1)", "not said; ORACLE 7.02 is finite",
        "every such type counts as if seen once in training, then renormalised", "else ORACLE is infinite",
    ),
    Assumption(
        "H_gap (eq. 13, 14)", "averaged in free mode; bits in 4.2",
        "nats; the mean over all steps of generated words to their end symbol, each step once", "longer words weigh "
        "more than in a mean of means; the steps after the end symbol say nothing",
    ),
    Assumption(
        "the marginal of H_gap (5.2)", "K = 20 to approximate the marginal in (12)", "20 draws of ξ_t after each "
        "state; beside it 20 and 1,000 whole trajectories, at each step weighted by the words that are not over",
        "eq. (14) defines the quantity, with an expectation over ξ_t alone at a given h_{t-1}, and 4.2 reads it as "
        "what is “due to the noise ξ_t”. The marginal in (12), of whole trajectories, also counts what earlier noise "
        "decided; its values are nearer to the printed ones: a hypothesis. Either estimate with finite K lies low",
    ),
    Assumption(
        "n-gram models (Table 2)", "Kneser-Ney-smoothed character n-grams trained on the test data",
        "interpolated, one discount by Ney, Essen & Kneser, fitted on the test types once each; on the test tokens "
        "beside it; a symbol that no test word has gets the probability 1e-6",
        "morphology is of types, and by tokens a few words would dominate",
    ),
    Assumption(
        "P_n-gram(w) (Table 2)", "likelihood, the lower value in bold", "perplexity a character, end symbol included, "
        "of the generated words", "values above 1 are no probabilities, and lower is better",
    ),
    Assumption(
        "dashed line (Figure 2)", "the overall word entropy of the trained baseline",
        "the GRU's mean next-symbol entropy over the steps of words that it generates",
        "it shares the axis with entropies of a symbol",
    ),
    Assumption(
        "tokens of the alternative split (5)", "10 % of the words, chosen regardless of their frequency",
        "all tokens of a held-out type are in the test half, whatever they weigh", "the text",
    ),
)  # fmt: skip
