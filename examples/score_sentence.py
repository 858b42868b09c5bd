"""Which sentences a trained model finds likelier: python examples/score_sentence.py laptop/ptb-af_af "a line"."""

import sys

import seqflows

if len(sys.argv) < 2:
    sys.exit("usage: python examples/score_sentence.py <scale>/<run> [sentence ...]")
model = seqflows.load(sys.argv[1])
sentences = sys.argv[2:] or model.sample(2)
for sentence, nats in zip(sentences, model.score(sentences), strict=True):
    print(f"{nats / (len(sentence) + 1):.3f} nats a character: {sentence}")
