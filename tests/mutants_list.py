"""The errors that `make mutants` plants, by file: why it is one, text that stands there once, its replacement, tests.

A test is named without its folder; ``file::name[case]`` where one case of many is enough.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Mutant(NamedTuple):
    """An error to be planted, and the tests that should see it."""

    file: str
    why: str
    old: str
    new: str
    tests: str

    @property
    def name(self) -> str:
        """As it is printed."""
        return f"{self.file.removeprefix('src/seqflows/')}: {self.why}"


STEP = "test_training_steps.py::test_a_step_of_sgd_is_the_gradient_made_by_hand"
KEPT = "test_training_steps.py::test_the_saved_model_is_the_best_on_the_validation_split"
QUIET = "test_training_steps.py::test_validation_leaves_the_training_noise_alone_and_draws_no_dropout"
ORDER = "test_training_steps.py::test_a_seed_decides_the_order_of_the_batches"
WHOLE = "test_training_steps.py::test_losses_of_the_history_are_those_of_the_whole_split"
CUT = "test_training_steps.py::test_a_run_cut_after_the_rate_fell_goes_on_at_the_lower_rate"
OWN = "test_evaluation_seeds.py::test_each_seed_is_scored_with_its_own_model"
NOISE = "test_evaluation_seeds.py::test_each_seed_has_its_own_noise"
THREE = "test_evaluation_seeds.py::test_three_standard_errors_below_the_source_are_too_many"
STREAMS = "test_evaluation_seeds.py::test_every_kind_is_scored_under_streams_of_the_seed"
DRAWS = "test_evaluation_exact.py::test_language_is_scored_by_the_mean_of_its_draws"
GAUSSIAN = "test_evaluation_exact.py::test_the_gaussian_reference_is_a_density_of_the_noisy_vectors"
RATIO = "test_evaluation_exact.py::test_a_ratio_has_the_error_of_n_minus_one"
CORPORA = "test_bleu.py::test_corpora_of_any_lengths_score_as_sacrebleu_scores_them"
BARS = "test_meteor.py::test_bars_and_line_ends_do_not_reach_the_protocol"
ONCE = "test_meteor.py::test_texts_are_asked_once_and_the_process_ends"
REFUSED_SHEETS = "test_report_pairs.py::test_a_wrong_sheet_is_refused"
FEATURES = "test_features.py::test_features_are_those_of_plain_transformers_word_by_word"
LONG = "test_features.py::test_a_word_of_a_long_context_is_taken_where_it_stands_most_central"
OWNERS = "test_features.py::test_owners"
OTHERS = "test_features.py::test_features_of_something_else_are_refused"
ENCODER = "test_features.py::test_an_encoder_is_refused"
DAMAGED = "test_features.py::test_a_damaged_encoder_is_refused"
SETS = "test_evaluation_exact.py::test_sets_of_trajectories_have_the_error_of_n_minus_one"
SHARES = "test_evaluation_exact.py::test_shares_of_words_have_the_errors_that_are_stated"
KNESER = "test_evaluation_exact.py::test_the_discount_is_that_of_the_counts"
PAIRED = "test_evaluation_exact.py::test_a_paired_difference_has_the_error_of_n_minus_one"
KNOWN = "test_evaluation.py::test_importance_sampling_against_a_known_answer"
GROUPS = "test_evaluation.py::test_groups_are_disjoint_and_leftovers_unused"
DECODER = "test_models_steps.py::test_the_decoder_sees_the_neighbours_states_and_its_own_latent_directly"
IN_TIME = "test_models_steps.py::test_the_flow_over_time_sees_what_is_before_and_its_own_position"
RESAMPLED = "test_models_steps.py::test_the_trained_bound_is_that_of_resampled_states"
PROPOSED = "test_models_steps.py::test_training_goes_on_from_a_proposal_drawn_by_its_weight"
PLACES = "test_models_steps.py::test_positions_are_rows_of_the_two_tables"
READER = "test_models_steps.py::test_each_direction_of_the_reader_reads_from_its_own_end"
EXACT = "test_models_contract.py::test_importance_sampling_rises_from_the_bound_to_the_exact_likelihood"
EXACT += "[af-made-nlsq-categorical]"
ALONE = "test_models_contract.py::test_neither_the_batch_nor_padding_changes_a_score"
MISTAKE = "test_params.py::test_a_mistake_is_one_line_with_the_nearest_name"
BEST = "test_report_tasks.py::test_the_best_of_each_role_is_the_least_of_those_with_a_record"
MINUTES = "test_report_tasks.py::test_parameters_and_minutes_are_those_of_the_trainings"
SETS_APART = "test_report_tasks.py::test_nothing_is_concluded_from_other_test_sets_and_other_units_are_refused"
EQUAL = "test_models_contract.py::test_the_objective_of_exact_models_is_their_log_probability"
WORD = "test_state_space.py::test_the_bound_lies_below_and_importance_sampling_reaches_the_exact_likelihood"
GRADIENT = "test_flows_contract.py::test_gradients_are_those_of_central_differences[{}]"
JACOBIAN = "test_flows_contract.py::test_log_det_is_that_of_the_jacobian[forward-{}-1.0]"
PADDED = "test_flows_conditional.py::test_padding_of_the_sequence_and_of_the_source_changes_nothing[forward-{}]"
SMOOTHED = "test_flowseq.py::test_smoothing_is_of_training_alone_and_its_share_is_the_mean_over_words_and_lengths"
BOTH_WAYS = "test_flowseq.py::test_all_questions_have_probability_one_and_importance_weights_have_their_mean[1]"
ARGMAX = "test_flowseq.py::test_a_beam_of_one_takes_the_most_likely_length_and_words_of_no_noise"
WRITTEN = "test_flowseq.py::test_what_is_written_are_words_of_the_output_vocabulary_whoever_is_beside[9-0.7]"
JSON = "test_files.py::test_json_that_is_none_is_refused_by_name"
NUMBERS = "test_records.py::test_numbers_that_evaluate_did_not_write_are_refused"
TRAININGS = "test_records.py::test_trainings_that_train_did_not_write_are_refused"
CLONE = "test_records.py::test_a_clone_with_what_was_kept_says_what_the_runs_said"
ATOMIC = "test_files.py::test_a_file_is_replaced_never_written_into"
LOCKS = "test_files.py::test_an_exclusive_lock_keeps_all_out_and_a_shared_one_the_exclusive"
CHECKOUT = "test_cli.py::test_a_stage_that_dvc_runs_holds_the_checkout"
LEFT = "test_files.py::test_what_a_killed_writer_left_goes_with_the_next_write_of_the_same_target"
DONE = "test_checkpoint.py::test_finished_outputs_are_verified"
PRINTS = "test_cli.py::test_what_a_stage_prints_does_not_fail_it"
NOTED = "test_training.py::test_time_limit_and_signals_are_noted"
PICKLES = "test_data_prepare.py::test_a_small_pickle_that_stands_for_much_is_refused_at_once"
YAML = "test_hostile.py::test_a_small_params_file_that_stands_for_much_is_refused_at_once"
ADDRESSES = "test_errors.py::test_addresses_are_shown_without_user_password_and_query"
CELLS = "test_tables_of_params.py::test_every_cell_is_of_the_run_of_its_row_and_column"
PRINTED = "test_tables_of_params.py::test_printed_numbers_are_those_that_were_checked"

PLANTED: dict[str, list[tuple[str, str, str, str]]] = {
    "witness/base.py": [
        (
            "a witness that does not hold passes",
            '    if not condition:\n        raise Problem(f"expected {expected}',
            '    if False:\n        raise Problem(f"expected {expected}',
            "test_witness.py::test_one_reading_of_the_words_is_refused",
        ),
        (
            "cells that the paper quotes are its own",
            'row["column"] == column and row["status"] == "reproduce"',
            'row["column"] == column',
            "test_witness.py::test_cells_that_a_paper_quotes_are_left_out",
        ),
    ],
    "pipeline/dvc.py": [
        (
            "a dvc.yaml below workflow is not compared",
            '    for path in sorted({*written, *WORKFLOW.glob(f"*/{FILE}")}):\n',
            "    for path in [FILE]:\n",
            "test_workflow.py::test_dvc_yaml_is_that_of_the_table_and_of_params",
        ),
        (
            "the file of a kind that is gone stays",
            "        (root / path).unlink()\n",
            "        continue\n",
            "test_workflow.py::test_dvc_yaml_is_that_of_the_table_and_of_params",
        ),
    ],
    "pipeline/repro.py": [
        (
            "calls look at what their stages wait for",
            'SINGLE = ("--single-item",)',
            'SINGLE = ("--quiet",)',
            "test_repro.py::test_it_makes_every_stage_once_and_then_nothing",
        ),
        (
            "stages that wait for each other are in two parts",
            "networkx.connected_components(joined.subgraph(some))",
            "([one] for one in some)",
            "test_repro.py::test_each_stage_is_in_one_call_after_what_it_waits_for",
        ),
        (
            "what needs its machine for itself has others beside it",
            "            alone.append(job)",
            "            of_data.append(job)",
            "test_repro.py::test_each_stage_is_in_one_call_after_what_it_waits_for",
        ),
        (
            "an interrupt ends a call alone, not its stage",
            "            os.killpg(call.pid, signal.SIGINT)",
            "            call.send_signal(signal.SIGINT)",
            "test_repro.py::test_an_interrupt_reaches_the_stages",
        ),
        (
            "calls that fail are not told",
            "    if failed:\n        said",
            "    if False:\n        said",
            "test_repro.py::test_a_failure_is_named_and_ends_no_other_call",
        ),
        (
            "its stages wait for the lock that it holds",
            'os.environ | {paths.HELD: "1", "PATH": found}',
            'os.environ | {"PATH": found}',
            "test_repro.py::test_it_makes_every_stage_once_and_then_nothing",
        ),
    ],
    "preload.py": [
        (
            "a fork reads the project's code that was loaded before",
            'if name.partition(".")[0] == "seqflows"]',
            'if name.partition(".")[0] == "seqflow"]',
            "test_preload.py::test_a_command_finds_torch_and_hands_over_what_it_is_given",
        ),
        (
            "a stage that ends well has the status of one that fails",
            "        status = 0\n",
            "        pass\n",
            "test_preload.py::test_the_code_is_read_anew_for_each_command",
        ),
        (
            "a fork outlives who asked for it",
            "    os.kill(os.getpid(), signal.SIGKILL)",
            "    return",
            "test_preload.py::test_no_fork_outlives_who_asked_for_it",
        ),
        (
            "what serves DVC's stages ends while one runs",
            "        if forks:\n",
            "        if not forks:\n",
            "test_preload.py::test_it_waits_for_a_stage_that_takes_longer_and_an_old_socket_is_replaced",
        ),
        (
            "a stage of DVC's has the limits of another",
            "repr((*shared, cores, limits, group))",
            "repr((*shared, cores, group))",
            "test_preload.py::test_what_a_fork_would_not_share_is_not_served_together",
        ),
        (
            "who has found the socket of a process that ends is not heard",
            "        while _fork(listening):",
            "        while False:",
            "test_preload.py::test_who_has_found_the_socket_is_served_though_it_is_taken_away",
        ),
        (
            "another interpreter's command is handed over",
            "    if executable != sys.executable:",
            "    if not executable:",
            "test_preload.py::test_without_a_listener_of_the_same_interpreter_a_command_runs_by_itself",
        ),
    ],
    "ending.py": [
        (
            "what is to be done at the end is left out",
            "    atexit._run_exitfuncs()",
            "    pass",
            "test_preload.py::test_an_end_waits_for_threads_calls_what_is_registered_and_flushes",
        ),
    ],
    "witness/tang2021.py": [
        (
            "the grid's cells have the size of one axis",
            "float((float(edge[1] - edge[0]) * scale).prod())",
            "float((float(edge[1] - edge[0]) * scale).flatten()[0]) ** scale.numel()",
            "test_witness.py::test_the_mass_of_a_gaussian_is_one",
        ),
        (
            "the released scheme scores its first block once",
            "return _gaussian(z_1 - mean, deviation) + log_det_1 + _gaussian(z_2, deviation) + log_det_2",
            "return log_det_1 + _gaussian(z_2, deviation) + log_det_2",
            "test_witness.py::test_the_page_has_each_witness_and_is_the_same_twice",
        ),
    ],
    "witness/ziegler2019.py": [
        (
            "the last word's length is not counted",
            "at[np.arange(len(weights)), weights] = chain.start",
            "at[:, 0] = chain.start",
            "test_witness.py::test_sums_of_lengths_are_those_of_all_sequences",
        ),
        (
            "rounding is not allowed for",
            "most = (value + ROUNDED) / (value + reconstruction[row])",
            "most = printed",
            "test_witness.py::test_shares_of_the_bound_are_those_of_the_printed_cells",
        ),
    ],
    "trained.py": [
        (
            "a model without parameters is nowhere",
            "itertools.chain(self.model.parameters(), self.model.buffers())",
            "self.model.parameters()",
            "test_trained.py::test_a_model_of_language_is_used_from_its_run_and_from_weights[trigram-False]",
        ),
        (
            "the texts of a trigram are not packed",
            '.block.of(sizes(block), "model").made_of_texts:',
            '.block.of(sizes(block), "model").reads:',
            "test_trained.py::test_a_model_of_language_is_used_from_its_run_and_from_weights[trigram-True]",
        ),
        (
            "the importance samples of a score move the generator of its caller",
            "torch.no_grad(), compute.own_noise(self.device):\n            for indices in self._own(split, seed):\n",
            "torch.no_grad():\n            for indices in self._own(split, seed):\n",
            "test_trained.py::test_the_callers_generator_is_left_alone[text-latent]",
        ),
        (
            "encoding moves the generator of its caller",
            "        with compute.own_noise(self.device):\n            own",
            "        with torch.no_grad():\n            own",
            "test_trained.py::test_a_model_of_language_is_used_from_its_run_and_from_weights[flow-False]",
        ),
        (
            "texts are encoded by one stream of noise",
            "for one in self._own(split, seed)]",
            "for one in np.arange(len(split))[:, None]]",
            "test_trained.py::test_a_model_of_language_is_used_from_its_run_and_from_weights[flow-False]",
        ),
    ],
    "compute.py": [
        (
            "noise of its own is drawn from the stream of its caller",
            'torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])',
            "contextlib.nullcontext()",
            "test_evaluation.py::test_scoring_leaves_the_callers_generator_alone",
        ),
        (
            "threads seed the generators of each other",
            "    with NOISE, torch",
            "    with torch",
            "test_trained.py::test_threads_that_score_at_once_draw_the_noise_of_one_alone",
        ),
        (
            "noise of its own has no seed",
            "        if seed is not None:\n            seed_noise(device, seed)\n",
            "",
            "test_evaluation.py::test_scoring_leaves_the_callers_generator_alone",
        ),
    ],
    "flows/fused.py": [
        (
            "a second derivative through a fused operator is zero in silence",
            "if torch.is_grad_enabled():",
            "if False:",
            "test_fused.py::test_a_second_derivative_is_refused_rather_than_zero",
        ),
        (
            "the bias of steps has the mean of their gradients",
            "grad.sum(0) if ctx.broadcast",
            "grad.mean(0) if ctx.broadcast",
            "test_fused.py::test_a_linear_map_of_steps_has_the_values_and_the_derivatives_of_one_in_each",
        ),
        (
            "the weight of steps is moved by the first one alone",
            "        return outputs.t() @ inputs, None, None",
            "        return outputs[: grad.shape[1]].t() @ inputs[: grad.shape[1]], None, None",
            "test_fused.py::test_a_linear_map_of_steps_has_the_values_and_the_derivatives_of_one_in_each",
        ),
    ],
    "training/trainer.py": [
        (
            "a model restarts at every step",
            "self.steps > 0 and before < settings.kl_free_epochs",
            "self.steps > 0",
            "test_training_pairs.py::test_a_model_restarts_once_with_its_optimiser_at_the_first_step_with_a_kl_weight",
        ),
        (
            "every step that is taken alone initialises the model",
            "        self.optimizer.step()\n        self.steps += 1\n",
            "        self.optimizer.step()\n",
            "test_training_steps.py::test_a_model_is_initialised_by_the_first_batch_of_all_and_by_no_other",
        ),
        (
            "a full step takes each word once",
            "split.counts[indices] / split.counts.mean()",
            "np.ones(len(indices))",
            "test_training_steps.py::test_a_full_step_is_expectation_maximisation_by_the_counts_of_all_words",
        ),
        (
            "full steps never end before there are as many as can be",
            "losses[-2] - losses[-1] < settings.full_gain",
            "False",
            "test_training_steps.py::test_full_steps_follow_the_epochs_until_one_gains_too_little",
        ),
        (
            "a run on half of the questions reads them all",
            "self.some = None if settings.half is None else dataset.train.contexts.half(settings.half)",
            "self.some = None",
            "test_training_augmented.py::test_a_half_is_all_that_is_trained_on_and_validation_stays_whole",
        ),
        (
            "an epoch too many is averaged",
            "[1 - self.settings.average :]",
            "[-self.settings.average :]",
            "test_training_translation.py::test_the_kept_model_is_the_mean_of_the_last_epochs_and_training_goes_on_from_its_own_weights",
        ),
        (
            "a cut in validation saves the average",
            "            self._restore(own, ended=False)\n",
            "            pass\n",
            "test_training_translation.py::test_a_training_that_is_cut_goes_on_as_if_it_had_not_been",
        ),
        (
            "the KL weight is never applied",
            'weight * value if name == "kl" else value for name',
            'value if name == "kl" else value for name',
            STEP,
        ),
        (
            "no clipping",
            "if self.settings.clip:",
            "if False:",
            "test_training_steps.py::test_a_clipped_step_is_as_long_as_the_rate_times_the_clip",
        ),
        (
            "validation noise differs by epoch",
            "with own_noise(self.machine.device, self.seed), torch.no_grad():",
            "with own_noise(self.machine.device, self.seed + self.epoch), torch.no_grad():",
            "test_training_steps.py::test_validation_has_the_same_noise_in_every_epoch",
        ),
        (
            "a run resumes with the first rate",
            '        self.plateau = Plateau(**state["plateau"])\n',
            '        self.plateau = Plateau(**state["plateau"] | {"rate": self.settings.learning_rate})\n',
            CUT,
        ),
        (
            "a run resumes without the moments of its optimiser",
            '        self.optimizer.restore(parts["optimizer"])\n',
            "",
            CUT,
        ),
        (
            "a run resumes with the noise of its start",
            'checkpoint.set_random_state(state["random"])',
            "pass",
            "test_training.py::test_a_run_cut_into_pieces_equals_one_uncut[text-latent]",
        ),
        ("the model is chosen on the test split", "split = self.dataset.valid\n", "split = self.dataset.test\n", KEPT),
        ("the last model is kept, not the best", "        self.model.load_state_dict(self.best)\n", "", KEPT),
        ("the first model is kept, not the best", "value.copy_(state[name])", "value.copy_(value)", KEPT),
        (
            "a step is the sum of its batches' means",
            "loss = (weighted / self._symbols(batch.lengths)).sum() / count",
            "loss = (weighted / self._symbols(batch.lengths)).mean()",
            STEP,
        ),
        ("validation with dropout", "        self.model.eval()\n        batches", "        batches", QUIET),
        (
            "validation sets the noise of training",
            "with own_noise(self.machine.device, self.seed), torch.no_grad():",
            "compute.seed_noise(self.machine.device, self.seed)\n        with torch.no_grad():",
            QUIET,
        ),
        (
            "the order of batches ignores the seed",
            "order(split, settings.batch_size, self.seed, self.epoch,",
            "order(split, settings.batch_size, 0, self.epoch,",
            ORDER,
        ),
        (
            "the order of batches is the same in every epoch",
            "order(split, settings.batch_size, self.seed, self.epoch,",
            "order(split, settings.batch_size, self.seed, 0,",
            ORDER,
        ),
        (
            "the history's training loss is divided by T",
            "(symbols + sequences if self.kind.loss_per_symbol else sequences)",
            "(symbols if self.kind.loss_per_symbol else sequences)",
            WHOLE,
        ),
        (
            "the history's training loss has the KL unweighted",
            "weighted.detach(), int(split.lengths[indices].sum()), len(indices)",
            "sum(terms.values()).detach(), int(split.lengths[indices].sum()), len(indices)",
            "test_training_steps.py::test_the_training_loss_is_its_weighted_terms",
        ),
    ],
    "training/loop.py": [
        (
            "seeds that were not asked for leave the outputs",
            "others = _beside(key, block, dataset, folders) if key.name in matrix.narrow else []",
            "others = []",
            "test_training.py::test_seeds_that_were_not_asked_for_stay",
        ),
        (
            "a training that was stopped is told as finished",
            'how = "KILLED"',
            'how = "FINISHED"',
            "test_training.py::test_a_tracker_hears_how_a_training_ended",
        ),
        (
            "another start gives the same seed",
            '({"from_sha256": others[seed].sha256} if others else {})',
            "{}",
            "test_training_translation.py::test_what_it_starts_from_decides_the_checkpoint",
        ),
        (
            "the initial weights ignore the seed",
            "torch.manual_seed(seed)",
            "torch.manual_seed(0)",
            "test_training_steps.py::test_a_seed_decides_the_first_weights",
        ),
    ],
    "rewriting/base.py": [
        (
            "a text for which nothing is written gets an empty candidate",
            "            self.counted[NOTHING] += 1\n            return text\n",
            "            self.counted[NOTHING] += 1\n            return candidate\n",
            "test_generators.py::test_nothing_the_same_and_unknown_tokens_are_counted",
        ),
        (
            "a text as long as a generator reads is left out",
            "if 0 < size <= most]",
            "if 0 < size < most]",
            "test_generators.py::test_candidates_keep_the_order_of_the_texts_and_their_number",
        ),
    ],
    "rewriting/flows.py": [
        (
            "the noise has the variance as its deviation",
            "self.variance**0.5 * z_0",
            "self.variance * z_0",
            "test_generators.py::test_candidates_have_the_noise_of_the_variance",
        ),
        (
            "all candidates of a text have one noise",
            "z_0 = torch.randn_like(eps) if",
            "z_0 = torch.randn_like(eps[::count]).repeat_interleave(count, 0) if",
            "test_generators.py::test_noise_changes_texts_and_a_seed_decides_them",
        ),
    ],
    "rewriting/tuning.py": [
        (
            "tuning takes the smallest variance",
            "        if shares[variance] <= MOST:\n            break\n",
            "",
            "test_measure.py::test_tuning_takes_the_largest_variance_that_changes_few_enough",
        ),
    ],
    "rewriting/measure.py": [
        (
            "an added token costs nothing",
            "np.minimum.accumulate(row - columns, axis=1) + columns",
            "np.minimum.accumulate(row, axis=1)",
            "test_measure.py::test_edits_are_the_distance_of_every_pair",
        ),
    ],
    "rewriting/words.py": [
        (
            "random words are drawn evenly",
            "self.cumulative = np.cumsum(counts / counts.sum())",
            "self.cumulative = np.linspace(0, 1, len(counts) + 1)[1:]",
            "test_generators.py::test_random_words_are_as_many_as_given_and_follow_the_frequency",
        ),
        (
            "names have neighbours",
            "if word(token) and text[start:end].islower()]",
            "if word(token)]",
            "test_generators.py::test_neighbours_are_near_and_neither_names_numbers_nor_stop_words",
        ),
    ],
    "rewriting/rewrite.py": [
        (
            "lines of validation are rewritten too",
            "    passages = dataset.train.contexts\n",
            "    passages = dataset.valid.contexts\n",
            "test_rewrite.py::test_only_lines_of_training_are_rewritten_and_only_lines_of_validation_measured",
        ),
    ],
    "comparison/contexts.py": [
        (
            "the verdict is that on another candidate",
            "bool(kept[index, number])",
            "bool(kept[index, 0])",
            "test_compare_contexts.py::test_beside_an_original_stands_the_first_other_text_with_its_verdict",
        ),
    ],
    "comparison/readers.py": [
        (
            "an answer is right by its place alone",
            "float(answer in right)",
            "float(answer == 0)",
            "test_compare_readers.py::test_chosen_answers_are_right_by_their_place_and_told_by_their_text",
        ),
    ],
    "report/papers/tang2021/claims.py": [
        (
            "a large gain is any gain",
            "contexts.ordered(numbers, (contexts.FLOW, contexts.BASELINE), margin=LARGE)",
            "contexts.ordered(numbers, (contexts.FLOW, contexts.BASELINE))",
            "test_report_contexts.py::test_a_large_gain_is_one_of_a_point_in_every_score",
        ),
    ],
    "augmentation/filter.py": [
        (
            "a tie is dropped",
            "return self.candidates >= self.original[:, None]",
            "return self.candidates > self.original[:, None] + TIE",
            "test_filter.py::test_a_tie_stays_also_where_the_original_is_answered_wrongly",
        ),
        (
            "a copy in lower case is another text",
            "not tokens.alike(text, own[line])",
            "text != own[line]",
            "test_filter.py::test_a_candidate_is_kept_where_the_answer_is_no_worse",
        ),
        (
            "the candidate is judged by the original's context",
            "replaced = None if number is None else candidates.replacement(split.contexts, indices, numbers)",
            "replaced = None",
            "test_filter.py::test_a_candidate_is_kept_where_the_answer_is_no_worse",
        ),
        (
            "questions of the test half are judged",
            "    split = dataset.train\n",
            "    split = dataset.test\n",
            "test_filter.py::test_neither_validation_nor_test_is_read",
        ),
        (
            "each of two judges reads the half that it was trained on",
            'return (passages.halves == blocks[0]["training"]["half"]).astype(np.int64)',
            'return (passages.halves != blocks[0]["training"]["half"]).astype(np.int64)',
            "test_filter.py::test_every_question_is_judged_by_the_run_that_was_not_trained_on_it",
        ),
        (
            "a question has the verdict of the other judge",
            "for one in results])[by, places]",
            "for one in results])[by - 1, places]",
            "test_filter.py::test_every_question_is_judged_by_the_run_that_was_not_trained_on_it",
        ),
        (
            "a judge may have been trained on what it reads",
            "    if got != wanted:\n",
            "    if got is None and wanted:\n",
            "test_filter.py::test_a_judge_that_was_trained_on_its_questions_is_refused",
        ),
    ],
    "data/filtered.py": [
        (
            "a candidate that was not kept is drawn",
            "counts = kept.sum(1)",
            "counts = np.full(len(kept), kept.shape[1])",
            "test_training_augmented.py::test_a_kept_candidate_is_drawn_at_the_rate_and_evenly",
        ),
        (
            "the same contexts are drawn in every epoch",
            "np.random.default_rng([seed, *step, STREAM])",
            "np.random.default_rng([seed, *step[1:], STREAM])",
            "test_training_augmented.py::test_the_draw_is_a_function_of_seed_epoch_and_place",
        ),
        (
            "another seed's candidates are drawn",
            "drawn(self.kept[seed][indices], share, seed, step)",
            "drawn(self.kept[min(self.kept)][indices], share, seed, step)",
            "test_training_augmented.py::test_the_trainer_draws_candidates_that_its_own_seed_kept",
        ),
    ],
    "data/rewritten.py": [
        (
            "lines with an answer are free",
            "np.where(passages.free_of(index), own, -1)",
            "own",
            "test_rewritten.py::test_only_free_lines_of_the_question_are_replaced",
        ),
    ],
    "models/flow_decoder.py": [
        (
            "the decoder reads latents without noise",
            "self.log_tokens(batch.x, self.noised(eps, self.config.variance))",
            "self.log_tokens(batch.x, eps)",
            "test_flow_decoder.py::test_the_loss_is_both_by_hand",
        ),
    ],
    "training/schedules.py": [
        (
            "the rate never falls",
            "(rise / (steps + 1)) ** 0.5",
            "1.0",
            "test_training_translation.py::test_the_rate_rises_linearly_then_falls_by_the_root_of_the_steps",
        ),
        (
            "the model is chosen during the ramp of the KL weight",
            "counted = settings.keep in SCORED or epoch - 1 >= settings.kl_free_epochs + settings.kl_ramp_epochs",
            "counted = True",
            "test_schedules.py::test_before_the_ramp_is_over_no_loss_counts_and_the_last_model_is_kept",
        ),
        (
            "scores choose a model only after the ramp of the KL weight",
            "settings.keep in SCORED or epoch - 1",
            "epoch - 1",
            "test_schedules.py::test_a_score_counts_before_the_ramp_is_over",
        ),
        (
            "the KL weight ends above 1",
            "floor + (1 - floor) * share",
            "floor + share",
            "test_schedules.py::test_kl_weight_has_a_floor",
        ),
        (
            "the rate is multiplied by the decay",
            "self.rate /= settings.decay",
            "self.rate *= settings.decay",
            "test_schedules.py::test_rate_falls_after_patience_epochs_without_improvement_each_time",
        ),
    ],
    "training/optimise.py": [
        (
            "EM forgets the counts of earlier steps",
            "torch.lerp(self._counts[n], counts, self.rate) if n in self._counts else counts",
            "counts",
            "test_hidden_markov.py::test_a_rate_below_one_mixes_the_counts_of_earlier_steps",
        ),
        (
            "EM takes the gradient for the counts",
            "counts = (-parameter.grad).clamp(min=0)",
            "counts = parameter.grad.clamp(min=0)",
            "test_hidden_markov.py::test_em_never_lowers_the_likelihood_and_ends_at_the_entropy_of_the_words",
        ),
        ("SGD climbs", "alpha=-self.rate", "alpha=self.rate", "test_schedules.py::test_optimisers_are_torchs_own"),
        (
            "Adam's second beta is 0.99",
            "beta2=self.beta2",
            "beta2=0.99",
            "test_schedules.py::test_optimisers_are_torchs_own",
        ),
        (
            "Adam keeps its moments when the rate falls",
            "self.rate, self._state = rate, {}",
            "self.rate = rate",
            "test_schedules.py::test_drop_forgets_adams_moments_and_state_survives_saving",
        ),
    ],
    "training/checkpoint.py": [
        (
            "what other seeds kept is deleted",
            'folder != folders.get(record["seed"], folder)',
            'folder != folders.get(record["seed"])',
            "test_training.py::test_seeds_that_were_not_asked_for_stay",
        ),
        (
            "unfinished checkpoints of other settings stay for ever",
            "            remove(old)\n",
            "            pass\n",
            "test_training.py::test_an_unfinished_checkpoint_of_other_settings_is_named_and_goes_at_the_end",
        ),
        ("a seed is done without a model", "for name in (MODEL, HISTORY)}", "for name in (HISTORY,)}", DONE),
        (
            "the record of a seed that is done is read without its seal",
            'files.read_sealed(done / RECORD)["files"]',
            'files.read_json(done / RECORD)["files"]',
            DONE,
        ),
        (
            "a checkpoint names files anywhere",
            "if not TENSORS.fullmatch(name):",
            "if False:",
            "test_checkpoint.py::test_a_checkpoint_names_no_file_outside_its_folder",
        ),
        (
            "a tensor's checksum is not looked at",
            "if files.sha256(file) != checksum:",
            "if False:",
            "test_checkpoint.py::test_a_number_altered_in_a_tensor",
        ),
        (
            "a checkpoint of another configuration is taken",
            'if content.get("digest") != folder.name:',
            "if False:",
            "test_checkpoint.py::test_one_of_another_configuration",
        ),
    ],
    "models/latent_sequence.py": [
        (
            "each importance sample has a dropout mask of its own",
            "own_noise(device, seed)",
            "own_noise(device, seed + k)",
            "test_codebook.py::test_the_importance_samples_of_a_sequence_see_the_same_dropout_mask[lstm]",
        ),
        (
            "a posterior that sees its past sees the present, too",
            "before = torch.cat([torch.zeros_like(noise[:, :1]), noise[:, :-1]], 1)",
            "before = noise",
            "test_latent_past.py::test_a_step_depends_on_earlier_noise_alone",
        ),
        (
            "the decoder sees the states of t, not of t - 1 and t + 1",
            "around = torch.cat([edge, ahead[:, :-1]], 1), torch.cat([back[:, 1:], edge], 1)",
            "around = ahead, back",
            DECODER,
        ),
        (
            "the bound of importance samples is their sum",
            "torch.logsumexp(log_weights, 1) - math.log(samples)",
            "torch.logsumexp(log_weights, 1)",
            "test_weighted_objective.py::test_the_value_is_that_of_the_importance_weights",
        ),
        (
            "the posterior's gradient has weights, not their squares",
            "z.register_hook(lambda gradient: gradient * through)",
            "pass",
            "test_weighted_objective.py::test_the_gradient_is_that_of_the_bound_in_expectation",
        ),
        (
            "the score of the posterior is left in",
            "apart, fixed = (z - mean.detach()) * torch.exp(-log_scale.detach()), log_scale.detach()",
            "apart, fixed = (z - mean) * torch.exp(-log_scale), log_scale",
            "test_weighted_objective.py::test_the_gradient_is_that_of_the_bound_in_expectation",
        ),
        (
            "the posterior is in bfloat16",
            "mean, log_scale = wide(self.to_posterior(states)).chunk(2, -1)",
            "mean, log_scale = self.to_posterior(states).chunk(2, -1)",
            "test_models_contract.py::test_bfloat16_sums_no_density",
        ),
        ("the entropy lacks its 1 / 2", "0.5 * (1 + LOG_TWO_PI)", "0.5 * LOG_TWO_PI", EXACT),
        (
            "the proposal's density has the deviation for 1 over it",
            "(z - mean) * torch.exp(-log_scale)",
            "(z - mean) * torch.exp(log_scale)",
            EXACT,
        ),
        (
            "importance weights lack p(T)",
            "log_weights = log_joint - log_q + self.length_log_prob(rows.lengths)",
            "log_weights = log_joint - log_q + 0 * self.length_log_prob(rows.lengths)",
            EXACT,
        ),
        (
            "samples are made in inference mode",
            "    @torch.no_grad()\n    def sample(",
            "    @torch.inference_mode()\n    def sample(",
            "test_models_contract.py::test_a_model_can_be_trained_on_samples[af-made-nlsq-categorical]",
        ),
    ],
    "models/state_space.py": [
        (
            "the filter keeps its weights after drawing anew",
            "weights = torch.where(anew[:, None], 0.0, weights)",
            "weights = weights + 0.0",
            "test_state_space_bounds.py::test_a_word_is_scored_as_by_a_loop_over_its_steps",
        ),
        (
            "the filter draws at every step but the poor",
            "poor = share.square().sum(1) > 2 / samples",
            "poor = share.square().sum(1) <= 2 / samples",
            "test_state_space_bounds.py::test_a_word_is_scored_as_by_a_loop_over_its_steps",
        ),
        (
            "words come back in the order of their lengths",
            "return torch.empty_like(bound).index_copy(0, order, bound)",
            "return bound",
            "test_state_space_bounds.py::test_the_estimate_of_a_words_probability_is_unbiased",
        ),
        (
            "the KL weight weighs the likelihood too",
            "log_omega = log_p + kl_weight * (log_omega - log_p)",
            "log_omega = kl_weight * log_omega",
            "test_state_space_bounds.py::test_a_kl_weight_weighs_what_is_not_likelihood",
        ),
        (
            "no resampling in training",
            "before = h.gather(1, _drawn(share)[..., None].expand(-1, 1, h.shape[-1]))[:, 0]",
            "before = h[:, 0]",
            f"{RESAMPLED} {PROPOSED}",
        ),
        (
            "the mean of K weights is their sum, in training",
            "bound.append(log_weight.logsumexp(-1) - math.log(count))",
            "bound.append(log_weight.logsumexp(-1))",
            RESAMPLED,
        ),
        (
            "the log-weight lacks the posterior's deviation",
            "(0.5 * (draws.noise.square() - zeta.square()) + draws.log_scale)",
            "(0.5 * (draws.noise.square() - zeta.square()))",
            WORD,
        ),
        (
            "the log-weight lacks the way back through F_g",
            "stretch = draws.ahead + back",
            "stretch = draws.ahead",
            WORD,
        ),
        (
            "weights are not shared out by what they are",
            "chosen = _drawn(log_omega.softmax(1))",
            "chosen = _drawn(torch.ones_like(log_omega))",
            f"{WORD}[tril-k3]",
        ),
        (
            "importance weights go on past a word's end",
            "torch.where(alive, log_omega.logsumexp(1) - math.log(count), 0.0)",
            "(log_omega.logsumexp(1) - math.log(count))",
            f"{ALONE}[state_space]",
        ),
    ],
    "models/words.py": [
        (
            "the marginal entropy is of a sum",
            "branches.logsumexp(1) - math.log(branches.shape[1])",
            "branches.logsumexp(1)",
            "test_evaluation_trie.py::test_the_gap_is_what_the_noise_decides",
        ),
        (
            "the baseline reads the symbol that it predicts",
            "read = torch.cat([begin, self.embedding(x[:, :-1])], 1)",
            "read = self.embedding(x) + 0 * begin",
            "test_state_space.py::test_the_baselines_probabilities_sum_to_one",
        ),
        (
            "the baseline is scored past a word's end",
            '"nll": -(steps * step_mask(batch.lengths, batch.x.shape[1])).sum(1)',
            '"nll": -steps.sum(1)',
            f"{ALONE}[gru]",
        ),
        (
            "the baseline's loss is in bfloat16",
            "wide(self.to_symbols(states)).log_softmax(-1)",
            "self.to_symbols(states).log_softmax(-1)",
            "test_models_contract.py::test_a_step_in_the_precisions_of_training[bf16-gru]",
        ),
    ],
    "models/language_flow.py": [
        (
            "the density lacks its log-determinant",
            "standard_normal_log_density(eps).sum((1, 2)) + log_det",
            "standard_normal_log_density(eps).sum((1, 2))",
            "test_models_contract.py::test_density_of_two_words_integrates_to_one",
        ),
        (
            "bits lack those of the noise",
            "-log_density / (dimensions * math.log(2)) - BITS",
            "-log_density / (dimensions * math.log(2))",
            EQUAL,
        ),
        (
            "samples are drawn in float32 whatever the model",
            "torch.randn(shape, dtype=self.vectors.dtype, generator=generator)",
            "torch.randn(shape, dtype=torch.float32, generator=generator)",
            "test_models_contract.py::test_sampling_options",
        ),
        (
            "samples are not of the generator",
            "torch.randn(shape, dtype=self.vectors.dtype, generator=generator)",
            "torch.randn(shape, dtype=self.vectors.dtype)",
            "test_models_contract.py::test_a_seed_decides_the_weights_and_the_samples",
        ),
    ],
    "models/flow_density.py": [
        (
            "the density lacks its log-determinant",
            "standard_normal_log_density(eps).sum(-1) + log_det",
            "standard_normal_log_density(eps).sum(-1)",
            "test_models_contract.py::test_density_integrates_to_one",
        ),
    ],
    "models/networks.py": [
        (
            "a key of a NADE sees itself",
            "self._key(v, b, hidden), x_v, reduction",
            "self._key(v, b, hidden + x_v[..., None] * self.reading[v]), x_v, reduction",
            "test_nade.py::test_the_probabilities_of_all_chords_sum_to_one_and_differ_from_independent_keys",
        ),
        (
            "drawn keys do not reach those above",
            "hidden = torch.addcmul(hidden, drawn[-1][..., None], self.reading[v])",
            "hidden = hidden + 0.0",
            "test_nade.py::test_chords_are_drawn_as_they_are_scored",
        ),
        (
            "the distance from the end is off by one",
            "(lengths[:, None] - 1 - t).clamp(min=0)",
            "(lengths[:, None] - t).clamp(min=0)",
            PLACES,
        ),
        (
            "a length of 0 is one of 1",
            "if low < 1 or high > longest:",
            "if high > longest:",
            "test_models_steps.py::test_lengths_that_a_model_does_not_know_are_refused",
        ),
        (
            "lengths without the one that is added",
            "smoothed = counts + 1",
            "smoothed = counts + 0.5",
            "test_models_steps.py::test_lengths_have_the_counts_with_one_added",
        ),
        (
            "the backward direction is not turned back",
            "backward_states = reverse(back(reverse(x))[0])",
            "backward_states = back(reverse(x))[0]",
            READER,
        ),
        (
            "a key's probability is that of its absence",
            "-F.binary_cross_entropy_with_logits(logits, x.to(logits.dtype)",
            "-F.binary_cross_entropy_with_logits(-logits, x.to(logits.dtype)",
            "test_models_steps.py::test_emissions_are_the_densities_that_they_name",
        ),
        (
            "symbols at temperature 0 divide by it",
            "    if mode or not temperature:\n        return logits.argmax(-1)",
            "    if mode:\n        return logits.argmax(-1)",
            "test_models_contract.py::test_temperature_0_takes_the_likeliest_symbols_of_exact_models[lstm-categorical]",
        ),
        (
            "keys at temperature 0 are those of temperature 1",
            "        if mode or not temperature:\n            return (logits > 0).float()",
            "        temperature = temperature or 1.0\n        if mode:\n            return (logits > 0).float()",
            "test_nade.py::test_the_mode_takes_each_likelier_value",
        ),
    ],
    "models/recurrent_baseline.py": [
        (
            "the LSTM's score lacks p(T)",
            "given.double().sum(1) + self.length_log_prob(batch.lengths)",
            "given.double().sum(1)",
            EQUAL,
        ),
    ],
    "flows/precision.py": [
        (
            "products of a map are in bfloat16",
            "enabled=False) if torch.is_autocast_enabled(device) else",
            "enabled=False) if False else",
            "test_flows_contract.py::test_autocast_rounds_networks_alone[forward-mixing-channels]",
        ),
        (
            "products of serial steps are not in autocast's precision",
            "torch.get_autocast_dtype(device) if",
            "value.dtype if",
            "test_fused.py::test_under_autocast_products_are_in_its_precision_and_gradients_in_the_weights",
        ),
    ],
    "flows/bijection.py": [
        (
            "a context of other steps or examples is taken",
            "context.shape[:-1] != value.shape[:-1]",
            "context.dim() != value.dim()",
            "test_flows_contract.py::test_a_context_of_other_steps_or_examples_is_an_error",
        ),
        ("the density lacks the log-determinant", "return log_base + log_det", "return log_base", EXACT),
        (
            "padding counts in the density",
            "(log_base if mask is None else log_base * mask).sum(1)",
            "log_base.sum(1)",
            ALONE,
        ),
        (
            "the context beyond the mask is read",
            "None if context is None else clean(context, mask)",
            "context",
            "test_flows_contract.py::test_padding_changes_nothing[af-made-nlsq]",
        ),
    ],
    "flows/mixture.py": [
        (
            "the derivative of a root has no derivative",
            "POLISHED = 2\n",
            "POLISHED = 1\n",
            "test_fused.py::test_mixtures_have_second_derivatives[Gaussian-inverse]",
        ),
        (
            "a component without weight is drawn",
            "torch.searchsorted(summed, uniform[:, None] * summed[:, -1:], right=True)",
            "torch.searchsorted(summed, uniform[:, None] * summed[:, -1:])",
            "test_mixture.py::test_a_uniform_number_chooses_a_component_that_has_weight",
        ),
        (
            "what is drawn has each component's deviation twice in the logarithm",
            "self.components.log_deviations[chosen].exp() * noise",
            "self.components.log_deviations[chosen].mul(2).exp() * noise",
            "test_mixture.py::test_what_is_drawn_by_component_has_standard_normal_noise",
        ),
        (
            "the conditional weights see their own dimension",
            "each.cumsum(-1) - each",
            "each.cumsum(-1)",
            "test_flows_contract.py::test_the_log_density_is_that_of_the_noise[mixture]",
        ),
        (
            "the upper tail is taken for the lower",
            "sign = torch.where(below < above, 1.0, -1.0)",
            "sign = torch.where(below < above, 1.0, 1.0)",
            "test_mixture.py::test_far_from_every_component_nothing_overflows_and_the_way_back_is_the_same",
        ),
        (
            "the inverse's weights forget what was drawn",
            "            log_w = log_w.log_softmax(-1)\n        return",
            "            log_w = self.log_weights(context).double()\n        return",
            "test_mixture.py::test_far_from_every_component_nothing_overflows_and_the_way_back_is_the_same",
        ),
        (
            "the closed density has no scales",
            "- log_deviations.sum(-1)",
            "",
            "test_flows_contract.py::test_the_log_density_is_that_of_the_noise[mixture]",
        ),
        (
            "a component's density is of float32",
            "self.means.double(), self.log_deviations.double(), z.double()",
            "self.means, self.log_deviations, z",
            "test_mixture.py::test_the_density_of_a_component_keeps_its_digits",
        ),
        (
            "a deviation has no bound",
            "return self.log_scales.clamp(-LARGEST, LARGEST)",
            "return self.log_scales",
            "test_mixture.py::test_a_deviation_stops_at_its_bound",
        ),
        (
            "pairs are near in some dimensions",
            "near = near[(rows[near + ahead] - rows[near]).square().sum(-1) <= distance**2]",
            "pass",
            "test_mixture.py::test_close_pairs_are_those_of_all_distances",
        ),
        (
            "the quantile has no gradient",
            "        x = x + _newton(x, log_p)\n    return x\n",
            "        x = x + _newton(x, log_p)\n    return x.detach()\n",
            "test_mixture.py::test_the_quantile_of_a_logarithm",
        ),
        (
            "there is no bisection",
            "step = torch.where(good, step, torch.where(there, 0.0, (low + high) / 2 - z))",
            "pass",
            "test_mixture.py::test_components_far_apart_leave_gaps_that_the_root_search_crosses",
        ),
        (
            "far from all points that count the others are forgotten",
            "if not enough.all():",
            "if False:",
            "test_mixture.py::test_points_are_components_of_one_deviation",
        ),
        (
            "a dimension counts twice in the points' weights",
            "log_w - 0.5 * ((z[:, None] - points)",
            "log_w - ((z[:, None] - points)",
            "test_mixture.py::test_points_are_components_of_one_deviation",
        ),
        (
            "distances are of float32",
            "scaled = points / self.deviation**2",
            "scaled = (points / self.deviation**2 * 3).float().double() / 3",
            "test_mixture.py::test_squared_distances_keep_their_digits",
        ),
        (
            "points that coincide are one",
            "        if same:",
            "        if False:",
            "test_mixture.py::test_points_that_make_no_mixture_are_refused",
        ),
        (
            "every point is calculated with",
            "if 2 * needed > count:",
            "if True:",
            "test_mixture.py::test_few_points_are_calculated_with",
        ),
    ],
    "flows/mixture_in_time.py": [
        (
            "the network reads the word that it is asked for",
            "x = F.pad(self.points[words[:, :-1]], (0, 0, 1, 0))",
            "x = self.points[words]",
            "test_word_mixture.py::test_no_future_reaches_a_step",
        ),
        (
            "chosen examples keep the caches of others",
            "return [Causal.select(own, places) for own in kept]",
            "return [Causal.select(own, places * 0) for own in kept]",
            "test_word_mixture.py::test_step_by_step_the_weights_are_those_of_all_at_once",
        ),
    ],
    "models/word_mixture.py": [
        (
            "words are ambiguous only where they coincide",
            "close_pairs(self.vectors, APART * 2.0**-BITS)",
            "close_pairs(self.vectors, 0.0)",
            "test_word_mixture.py::test_words_that_the_noise_does_not_tell_apart_are_refused",
        ),
        (
            "texts are encoded in float32",
            "return copy.deepcopy(self.flow).double()",
            "return copy.deepcopy(self.flow)",
            "test_word_mixture.py::test_texts_come_back_also_of_rare_words",
        ),
        (
            "the noise of a word is twice as wide",
            "PointMixture(self.vectors, 2.0**-BITS)",
            "PointMixture(self.vectors, 2.0**(1 - BITS))",
            "test_word_mixture.py::test_the_density_is_that_of_the_words_and_the_noise",
        ),
    ],
    "models/trigram.py": [
        (
            "the discount is another",
            "once / (once + 2 * twice)",
            "once / (once + twice)",
            "test_word_mixture.py::test_the_trigram_is_interpolated_kneser_ney",
        ),
        (
            "the lower order is of words, not of what stands before",
            "before = pairs[0] % (count + 1)",
            "before = pairs[0] // (count + 1)",
            "test_word_mixture.py::test_the_trigram_is_interpolated_kneser_ney",
        ),
        (
            "step by step the trigram forgets a word",
            "torch.stack([kept[:, 1], before], 1)",
            "torch.stack([kept[:, 0], before], 1)",
            "test_word_mixture.py::test_step_by_step_the_weights_are_those_of_all_at_once",
        ),
    ],
    "models/hidden_markov.py": [
        (
            "any number of states is taken",
            "if config.states > most:",
            "if config.states < 0:",
            "test_hidden_markov.py::test_states_that_no_symbol_can_use_are_refused",
        ),
        (
            "the first states are moved on",
            "ahead = states if t == 0 else states @ transition",
            "ahead = states @ transition",
            "test_hidden_markov.py::test_the_likelihood_is_the_sum_over_all_sequences_of_states",
        ),
        (
            "words end a symbol early",
            "ends = batch.lengths == t + 1",
            "ends = batch.lengths == t + 2",
            "test_hidden_markov.py::test_the_likelihood_is_the_sum_over_all_sequences_of_states",
        ),
        (
            "the marginal entropy is that of a state",
            "entropy((onwards @ emission.exp()).log())",
            "onwards @ each",
            "test_hidden_markov.py::test_the_entropies_are_those_of_the_next_symbol_given_the_state_before",
        ),
        (
            "tables are scored as they are",
            "tables = (table.log_softmax(-1) for table in",
            "tables = (table for table in",
            "test_hidden_markov.py::test_it_is_a_distribution_at_any_tables_and_normalised_ones_change_no_number",
        ),
        (
            "the objective normalises its tables",
            "self._nll(batch, self.first, self.transition, self.emission)",
            "self._nll(batch, self.first.log_softmax(-1), self.transition, self.emission)",
            "test_hidden_markov.py::test_minus_the_gradient_is_the_expected_counts",
        ),
    ],
    "models/codebook_sequence.py": [
        (
            "any number of components is taken",
            "if count > EACH * facts.symbols:",
            "if False:",
            "test_models_contract.py::test_more_components_than_symbols_can_use_are_refused",
        ),
        (
            "free components start anywhere",
            'if free is not None and config.start == "codebook":',
            'if free is not None and config.start == "random":',
            "test_codebook.py::test_free_components_start_at_the_codebooks_unless_told_otherwise",
        ),
        (
            "the symbols' own weights are left out",
            "return self.bias + self.components.log_density(features)",
            "return self.components.log_density(features)",
            "test_weighted_objective.py::test_the_gradient_of_a_codebook_has_no_noise_at_the_exact_posterior",
        ),
    ],
    "flows/temporal.py": [
        (
            "the LSTM reads the position of t - 1, in parallel and step by step",
            "torch.cat([before, context[:, 1:]], -1)",
            "torch.cat([before, context[:, :-1]], -1)",
            IN_TIME,
        ),
        (
            "latents that are read are dropped in scoring, too",
            "before = F.dropout(z[:, :-1], self.input_dropout, self.training)",
            "before = F.dropout(z[:, :-1], self.input_dropout, True)",
            "test_flows_contract.py::test_input_dropout_is_of_the_latents_before_while_training_and_never_of_the_context",
        ),
        (
            "the steps of sampling read the position of t - 1",
            "self.from_context[t] if layer == 0",
            "self.from_context[t - 1] if layer == 0",
            IN_TIME,
        ),
        (
            "padding adds to the log-determinant",
            "log_det * mask\n    return out, log_det.sum(1)",
            "log_det\n    return out, log_det.sum(1)",
            "test_flows_contract.py::test_padding_changes_nothing[af-made-nlsq]",
        ),
        (
            "a density reads the context beyond the mask",
            "        z, context = clean_both(z, context, mask)\n        steps =",
            "        z = clean(z, mask)\n        steps =",
            "test_flows_contract.py::test_padding_changes_nothing[attentive-mixture]",
        ),
    ],
    "flows/autoregressive.py": [
        (
            "a dimension sees itself",
            "(degree[None, :] <= outputs[:, None])",
            "(degree[None, :] <= outputs[:, None] + 1)",
            JACOBIAN.format("made-nlsq"),
        ),
        (
            "hidden units of the first layer see one input more",
            "(inputs[None, :] < degree[:, None])",
            "(inputs[None, :] <= degree[:, None])",
            JACOBIAN.format("made-nlsq"),
        ),
    ],
    "flows/coupling.py": [
        (
            "the log-determinant forward is half of itself",
            "self.scalar.forward(moved, self._scalar_parameters(kept, context))",
            "self.scalar.forward(moved, self._scalar_parameters(kept, context))\n        log_slope = 0.5 * log_slope",
            JACOBIAN.format("coupling-nlsq"),
        ),
        (
            "half of the log-determinant has no gradient",
            "self.scalar.forward(moved, self._scalar_parameters(kept, context))",
            "self.scalar.forward(moved, self._scalar_parameters(kept, context))\n"
            "        log_slope = 0.5 * log_slope + 0.5 * log_slope.detach()",
            GRADIENT.format("forward-coupling-nlsq"),
        ),
    ],
    "flows/triangular.py": [
        (
            "the stretch has the sign of the diagonal",
            "stretch = diagonal.abs().log().sum(-1)",
            "stretch = raw.abs().log().sum(-1)",
            "test_flows_contract.py::test_the_diagonal_is_clipped_and_keeps_its_sign " + JACOBIAN.format("tril"),
        ),
        (
            "the diagonal loses its sign",
            "torch.where(raw < 0, -self.delta, self.delta)",
            "torch.where(raw < 0, self.delta, self.delta)",
            "test_flows_contract.py::test_the_diagonal_is_clipped_and_keeps_its_sign",
        ),
    ],
    "flows/scalar.py": [
        (
            "a location-scale map is read from data to noise",
            "forward, inverse = Affine.inverse, Affine.forward",
            "forward, inverse = Affine.forward, Affine.inverse",
            "test_scalar.py::test_location_scale_samples_by_its_equation",
        ),
        (
            "Affine's scale is read twice",
            "return torch.addcmul(a, log_b.exp(), z), log_b",
            "return torch.addcmul(a, log_b.exp(), z), 2 * log_b",
            "test_scalar.py::test_affine_is_its_equation",
        ),
        (
            "half of Affine's log-slope has no gradient",
            "return torch.addcmul(a, log_b.exp(), z), log_b",
            "return torch.addcmul(a, log_b.exp(), z), 0.5 * log_b + 0.5 * log_b.detach()",
            GRADIENT.format("inverse-scalar-location_scale"),
        ),
        (
            "NLSq's root is off",
            "half_q = 0.5 * k - third",
            "half_q = 0.5 * k + third",
            "test_scalar.py::test_the_inverse_of_nlsq_solves_the_equation_a_million_times",
        ),
        (
            "c' and d' have each other's scale",
            "SCALES = (0.4, 0.3, 0.4)",
            "SCALES = (0.4, 0.4, 0.3)",
            "test_scalar.py::test_the_scales_of_nlsq_are_those_of_the_released_code",
        ),
    ],
    "flows/fixed.py": [
        (
            "an actnorm's log-determinant forgets the steps",
            "(self.length * self.log_scale.sum()).expand(z.shape[0])",
            "self.log_scale.sum().expand(z.shape[0])",
            JACOBIAN.format("actnorm"),
        ),
        (
            "actnorms are set to a variance",
            "actnorm.log_scale.copy_(-torch.log(deviation + 1e-6))",
            "actnorm.log_scale.copy_(-2 * torch.log(deviation + 1e-6))",
            "test_flows_language.py::test_actnorms_are_set_by_data_one_after_another",
        ),
    ],
    "flows/conditional.py": [
        (
            "an actnorm counts padded steps",
            "return value.shape[1] if mask is None else mask.sum(1)",
            "return value.shape[1]",
            PADDED.format("masked_actnorm"),
        ),
        ("one head of all is counted", "sign * self.heads * _steps", "sign * _steps", JACOBIAN.format("heads-joined")),
        (
            "a turned coupling moves what conditions it",
            "return (second, first, mask) if self.turned else (first, second, mask)",
            "return first, second, mask",
            JACOBIAN.format("source-halves-turned"),
        ),
        (
            "padding has a log-scale",
            "return _clean_pair((log_gate(s), t), mask)",
            "return log_gate(s), _clean(t, mask)",
            PADDED.format("source-halves"),
        ),
        (
            "what leaves at a level is not noise given what stays",
            'return Chain(*flows) if last else Chain(*flows, SourceCoupling(dim, source, "halves", size))',
            "return Chain(*flows)",
            "test_flows_conditional.py::test_a_step_has_every_split_in_both_orders_and_mixes_joined_and_strided_heads",
        ),
        (
            "any length is taken",
            "if value.shape[1] % self.unit or",
            "if",
            "test_flows_conditional.py::test_wrong_lengths_sizes_and_contexts_are_refused",
        ),
    ],
    "models/flowseq.py": [
        (
            "means have noise",
            "z = mean if means else mean + scale",
            "z = mean + scale",
            "test_flowseq.py::test_means_have_neither_noise_nor_a_kl_term_until_it_has_a_weight",
        ),
        (
            "the actnorms are not set anew",
            "        self.initialise(batch)\n        return True",
            "        return True",
            "test_flowseq.py::test_a_restart_has_deviations_near_one_and_actnorms_of_its_draws",
        ),
        ("scores are smoothed", "self.config.smoothing if self.training else 0.0", "self.config.smoothing", SMOOTHED),
        (
            "scoring drops words",
            "self.config.word_dropout, self.training)",
            "self.config.word_dropout, True)",
            "test_flowseq.py::test_words_are_dropped_in_training_alone_and_only_from_the_posterior",
        ),
        (
            "what is latent beyond the end has no posterior",
            "log_q = ((standard_normal_log_density(noise) - log_scale).sum(-1) * question.mask).sum(1)",
            "log_q = ((standard_normal_log_density(noise) - log_scale).sum(-1) * question.said).sum(1)",
            BOTH_WAYS,
        ),
        (
            "importance weights lack p(T)",
            "log_weights.view(-1, samples) + length[:, None]",
            "log_weights.view(-1, samples)",
            BOTH_WAYS,
        ),
        ("the first length is two", "read.log_lengths[:, 1:].topk(most)", "read.log_lengths.topk(most)", ARGMAX),
        ("the end is a word", "said = step_mask(lengths - 1, steps)", "said = step_mask(lengths, steps)", BOTH_WAYS),
        ("the unknown word is written", "[..., 1:].argmax(-1) + 1", ".argmax(-1)", WRITTEN),
        ("noise follows the batch", "torch.Generator().manual_seed(0)", "None", WRITTEN),
        (
            "candidates are compared as wholes",
            "((total + length) / candidates.lengths).view(-1, count)",
            "(total + length).view(-1, count)",
            "test_flowseq.py::test_of_several_candidates_the_likeliest_per_word_is_written",
        ),
    ],
    "flows/attention.py": [
        (
            "the source's padding is seen",
            "self._attend(query, *parts, source.mask)",
            "self._attend(query, *parts, None)",
            PADDED.format("source-time"),
        ),
        (
            "a Transformer drops what it has read",
            "return x + self.dropout(self.inner(self.between(x))), (key, value)",
            "return self.dropout(x + self.inner(self.between(x))), (key, value)",
            "test_flows_contract.py::test_dropout_leaves_the_residual_stream_of_a_transformer_whole",
        ),
        (
            "the attention of causal flows looks ahead",
            "is_causal=self.causal and past is None",
            "is_causal=False",
            "test_flows_contract.py::test_zero_pattern_of_the_jacobian[forward-past-parallel-attention]",
        ),
    ],
    "evaluation/evaluate.py": [
        (
            "a seed of another model is not scored anew",
            '"model": files.digest(model), ',
            "",
            "test_evaluation_seeds.py::test_a_seed_of_another_model_is_scored_anew",
        ),
        (
            "a stopped evaluation begins anew",
            "    if made.exists():\n",
            "    if False:\n",
            "test_evaluation_seeds.py::test_a_seed_that_was_scored_is_not_scored_again_after_a_stop",
        ),
        (
            "all seeds are scored with the first seed's model",
            "model, record = loading.load(key, block, seed, dataset, machine)",
            'model, record = loading.load(key, block, block["seeds"][0], dataset, machine)',
            OWN,
        ),
        (
            "a task is the first seed's",
            'Task(key, seed, machine, record["parameters"]',
            'Task(key, block["seeds"][0], machine, record["parameters"]',
            NOISE,
        ),
    ],
    "evaluation/likelihood.py": [
        ("n for n - 1", "len(values) / (len(values) - 1)", "1.0", RATIO),
        (
            "the estimate is of the sum of k weights",
            "(grouped.logsumexp(-1) - math.log(samples))",
            "grouped.logsumexp(-1)",
            GROUPS,
        ),
        (
            "the effective number of samples is its root",
            "(2 * weights.logsumexp(1) - (2 * weights).logsumexp(1)).exp()",
            "(weights.logsumexp(1) - 0.5 * (2 * weights).logsumexp(1)).exp()",
            KNOWN,
        ),
        (
            "the KL contains -log p(T)",
            "-weights.mean(1) - reconstruction - length)",
            "-weights.mean(1) - reconstruction)",
            KNOWN,
        ),
    ],
    "evaluation/scoring.py": [
        ("ten standard errors are no finding", "ERRORS = metrics.BELOW", "ERRORS = 10", THREE),
        ("the noise ignores the seed", 'f"{key.name}/{seed}/{purpose}"', 'f"{key.name}/{purpose}"', NOISE),
        (
            "all seeds of a run are scored under one stream",
            "return stream(self.key, self.seed, purpose)",
            "return stream(self.key, 0, purpose)",
            f"{STREAMS}[words]",
        ),
    ],
    "evaluation/kinds/sequences.py": [
        (
            "sequences are divided by T",
            "kinds.divisors(scores.lengths, kind.score_per_symbol)",
            "scores.lengths",
            "test_evaluation.py::test_metrics_are_what_their_definitions_say",
        ),
        ("latent models are scored under one stream", 'task.stream("score"))', "0)", NOISE),
    ],
    "evaluation/kinds/words.py": [
        (
            "words are scored under one stream",
            'task.generator("trajectories")',
            "torch.Generator().manual_seed(0)",
            "test_evaluation_words.py::test_each_purpose_has_a_stream_of_its_own",
        ),
    ],
    "kinds.py": [
        (
            "the loss is divided by T, not T + 1",
            "return lengths + 1 if per_symbol",
            "return lengths if per_symbol",
            STEP,
        ),
        (
            "the loss of words is divided by their lengths",
            "counted=True, ",
            "counted=True, loss_per_symbol=True, ",
            STEP,
        ),
        (
            "text is in nats",
            'unit="bpc", nats=math.log(2),',
            'unit="bpc",',
            "test_evaluation.py::test_metrics_are_what_their_definitions_say",
        ),
    ],
    "evaluation/kinds/language.py": [
        (
            "language is scored under one stream",
            'task.stream("score"))',
            "0)",
            "test_language.py::test_a_run_is_scored_against_its_floor_and_source[lstm]",
        ),
        ("two draws are twice the headline", "bits[indices] += scored(x) / draws", "bits[indices] += scored(x)", DRAWS),
        (
            "the noise's own density lacks its scale",
            ".sum((1, 2)) + model.dimensions * BITS * math.log(2)",
            ".sum((1, 2))",
            DRAWS,
        ),
        (
            "the reference's covariance has the deviation for the variance",
            "apart + 4.0**-BITS * np.eye(dim)",
            "apart + 2.0**-BITS * np.eye(dim)",
            GAUSSIAN,
        ),
        (
            "the reference's distance has the deviation for the variance",
            "+ 4.0**-BITS * np.trace(precision)",
            "+ 2.0**-BITS * np.trace(precision)",
            GAUSSIAN,
        ),
    ],
    "evaluation/trie.py": [
        ("n for n - 1 over sets", "table.std(0, ddof=1)", "table.std(0)", SETS),
        ("n for n - 1 over blocks", "float(m.std(ddof=1)", "float(m.std()", SETS),
        (
            "a share of words has the error of the whole",
            "(p * (1 - p) / (count + 4))",
            "(p * (1 - p) / (count + 8))",
            SHARES,
        ),
        (
            "words that share a prefix are one",
            "(node[1:] != node[:-1]) | (padded[1:, t] != padded[:-1, t])",
            "(node[1:] != node[:-1])",
            "test_evaluation_trie.py::test_the_trie_scores_what_each_word_scores_alone",
        ),
    ],
    "evaluation/ngrams.py": [
        ("the discount is n1 / (n1 + n2)", "once / (once + 2 * twice)", "once / (once + twice)", KNESER),
        (
            "perplexities are of words without their ends",
            "[len(word) + 1.0 for word in words]",
            "[len(word) + 0.0 for word in words]",
            KNESER,
        ),
    ],
    "evaluation/generate.py": [
        (
            "a beam of five is decoded greedily",
            '{f"beam of {beam}": beam}',
            '{f"beam of {beam}": 1}',
            "test_evaluation_exact.py::test_a_beam_of_five_is_not_greedy",
        ),
        (
            "the noise has the deviation squared",
            '[eps + deviation * z_0 for deviation in settings["deviations"]]',
            '[eps + deviation**2 * z_0 for deviation in settings["deviations"]]',
            "test_evaluation_exact.py::test_the_noise_of_a_regeneration_has_its_deviation",
        ),
        (
            "a ratio weighs the second sentence",
            "[r * eps[::2] + (1 - r) * eps[1::2] for r in ratios]",
            "[(1 - r) * eps[::2] + r * eps[1::2] for r in ratios]",
            "test_evaluation_exact.py::test_a_ratio_weighs_the_first_sentence",
        ),
    ],
    "provenance/requirements.py": [
        (
            "what was not run counts as failed",
            "judging.NOT_RUN: NOT_RUN",
            "judging.NOT_RUN: FAILED",
            "test_requirements.py::test_shares_and_scores_roll_up_as_by_hand",
        ),
        (
            "what is quoted has weight",
            '"weight": int(state != NONE)',
            '"weight": 1',
            "test_requirements.py::test_shares_and_scores_roll_up_as_by_hand",
        ),
        (
            "a score is a share of everything",
            '"score": shares[MET] / decided if decided else None',
            '"score": shares[MET] if decided else None',
            "test_requirements.py::test_shares_and_scores_roll_up_as_by_hand",
        ),
    ],
    "provenance/actions.py": [
        (
            "data of another checksum pass as those that are kept",
            'now if sha256 == now.sha256 else Dataset(name, sha256, "")',
            "now",
            "test_crate.py::test_data_have_their_source_only_where_their_checksum_says_so",
        ),
        (
            "the training's inputs lack the seeds",
            "ref(SETTINGS.as_posix(), *objects, *(one.id for one in inputs))",
            "ref(SETTINGS.as_posix(), *objects)",
            "test_crate.py::test_every_kept_run_has_its_action",
        ),
    ],
    "provenance/crate.py": [
        (
            "the workflow's actions are not mentioned",
            '"mentions": ref(*made)',
            '"mentions": ref(made[0])',
            "test_crate.py::test_every_action_is_mentioned_and_the_workflow_has_its_run",
        ),
    ],
    "report/tasks.py": [
        ("the best of a role is the greatest", "return min(made", "return max(made", BEST),
        (
            "a candidate without a record counts",
            "for one in self.of(role) if one.summary]",
            "for one in self.of(role)]",
            BEST,
        ),
        (
            "of equal ones the last is the best",
            "made = [one for one in self.of(role) if one.summary]",
            "made = [one for one in reversed(self.of(role)) if one.summary]",
            "test_report_tasks.py::test_of_equal_ones_the_first_named_is_the_best",
        ),
        ("threads do not count", """ * int(seed.record.get("threads") or 1) / 60""", " / 60", MINUTES),
        (
            "an epoch beside other jobs counts with their time",
            "statistics.median(map(float, seconds))",
            "statistics.fmean(map(float, seconds))",
            "test_report_tasks.py::test_an_epoch_beside_other_jobs_counts_as_the_others",
        ),
        (
            "a goal of runs is the worse of them",
            "least = min(others",
            "least = max(others",
            "test_report_tasks.py::test_a_goal_of_runs_is_the_better_of_them_by_two_standard_errors",
        ),
        ("minutes of a GPU are core-minutes", 'seed.record.get("device") != "cpu" or ', "", MINUTES),
        (
            "a number of the data has the size of the run that it was taken with",
            "if one.summary is None or one.of_data:",
            "if one.summary is None:",
            "test_report_tasks.py::test_what_no_model_makes_has_neither_size_nor_time",
        ),
        ("numbers of other test sets decide", "OTHER_DATA if not alike else ", "", SETS_APART),
        ("units are joined", "if len(set(units.values())) > 1:", "if False:", SETS_APART),
        (
            "the difference is theirs less ours",
            """difference(f"{ours.run}.{ours.metric}", f"{other.run}.{other.metric}")""",
            """difference(f"{other.run}.{other.metric}", f"{ours.run}.{ours.metric}")""",
            "test_report_tasks.py::test_a_difference_is_that_of_the_claims_and_undecided_within_two_standard_errors",
        ),
    ],
    "report/plots/time.py": [
        (
            "a line is the loss of each epoch",
            "itertools.accumulate(losses, min)",
            "losses",
            "test_report_tasks.py::test_a_line_is_the_lowest_loss_so_far_over_minutes",
        ),
        (
            "what has no line is not named",
            "for one in (one for one, seeds in found.items() if not seeds and one not in untrained):",
            "for one in ():",
            "test_report_tasks.py::test_what_has_no_line_is_named_and_tasks_without_any_are_left_out",
        ),
    ],
    "report/plots/gains.py": [
        (
            "the spread over seeds is not in the interval",
            "self.ours.seeds_error or 0.0",
            "0.0",
            "test_report_pairs.py::test_the_figure_of_gains_has_those_of_the_comparison_and_the_printed_ones",
        ),
        (
            "better and worse are exchanged",
            "BLUE if self.ours.difference > 0 else RED",
            "RED if self.ours.difference > 0 else BLUE",
            "test_report_pairs.py::test_the_figure_of_gains_has_those_of_the_comparison_and_the_printed_ones",
        ),
        (
            "gains of texts that were written anew are shown",
            'results.present(block["table"])',
            'results.comparison(block["table"])',
            "test_report_pairs.py::test_rows_that_were_not_compared_are_named_in_the_figure_and_without_any_the_command",
        ),
        (
            "one far gain leaves no room for the others",
            "while len(sizes) > 1 and sizes[-1] > FAR * sizes[-2]:",
            "while False:",
            "test_report_pairs.py::test_a_gain_far_from_all_others_is_cut_and_its_number_stands_at_the_edge",
        ),
    ],
    "report/papers/base.py": [
        (
            "the run named after the cell's own is taken for a run of that very name",
            "changed = run + changed.removeprefix(OWN)",
            "changed = run if changed == OWN else changed",
            "test_causes.py::test_a_changed_run_may_be_named_after_each_cells_own",
        ),
    ],
    "report/lending.py": [
        (
            "the spread of another corpus",
            "            summary.dataset != one.dataset,\n",
            "            False,\n",
            "test_report_audit.py::test_the_spread_is_that_of_the_papers_models_on_the_same_data_first",
        ),
        (
            "a spread at earlier settings is lent before one of the present on other data",
            "results.earlier(summary.run) or ",
            "",
            "test_report_audit.py::test_the_spread_is_that_of_the_papers_models_on_the_same_data_first",
        ),
        (
            "another kind of data lends as other data does",
            "results.kind(summary.run) != results.kind(one.run)",
            "False",
            "test_report_audit.py::test_a_spread_of_another_kind_of_data_comes_last_of_all",
        ),
    ],
    "report/settling.py": [
        (
            "the rise of log-normal weights is that of one of them",
            "(one / total) ** samples",
            "(one / total)",
            "test_settling.py::test_the_rise_is_that_of_simulated_weights",
        ),
        (
            "what remains forgets the rise that was seen",
            "low**2 / 2 - rise",
            "low**2 / 2",
            "test_settling.py::test_what_remains_is_what_the_rise_says",
        ),
    ],
    "report/causes.py": [
        (
            "a trend counts whatever its error is",
            'wide = WIDE if rest > (1 - LEAST) * abs(row["difference"]) else ""',
            'wide = ""',
            "test_causes.py::test_a_trend_counts_by_what_it_leaves_with_its_error",
        ),
        (
            "hypotheses that exclude each other all count",
            "if not group or not one.counts or choice == chosen[group]:",
            "if True:",
            "test_causes.py::test_hypotheses_that_exclude_each_other_have_one_choice_for_all_cells",
        ),
        (
            "a cause counts from any share on",
            "self.share >= LEAST",
            "self.share > 0",
            "test_causes.py::test_a_cause_explains_what_its_run_leaves",
        ),
        (
            "a number beyond the printed one explains more than all",
            "share, remarks = 1 - rest / abs(row",
            "share, remarks = 1 - (changed.value - float(cell.reported)) / abs(row",
            "test_causes.py::test_a_cause_explains_what_its_run_leaves",
        ),
        (
            "a trend is a doubling's, however many are left",
            "value = cell.summary.value + gain * ratio",
            "value = cell.summary.value + gain",
            "test_causes.py::test_a_trend_is_continued_to_the_papers_number_of_sequences",
        ),
        (
            "a trend within its error counts",
            "if abs(gain) <= ERRORS * error",
            "if abs(gain) <= 0 * error",
            "test_causes.py::test_a_trend_within_its_error_is_no_cause",
        ),
        (
            "the error of a trend is not continued",
            "math.hypot(*parts, ratio * fewer_error)",
            "math.hypot(*parts, fewer_error)",
            "test_causes.py::test_a_trend_is_continued_to_the_papers_number_of_sequences",
        ),
    ],
    "report/judging.py": [
        (
            "of alternatives one that fails decides before one that is open",
            "[finding for finding in found if finding.verdict not in closed],",
            "[],",
            "test_report_audit.py::test_one_that_holds_is_enough_for_sometimes",
        ),
        (
            "a verdict stands whatever more samples would say",
            "moved = difference.drift and decide(settled, difference.error) != found.verdict",
            "moved = False",
            "test_settling.py::test_a_verdict_that_more_samples_would_turn_is_undecided",
        ),
        (
            "a p that few sequences cannot reach is a failure",
            "if gain.difference + ERRORS * gain.standard_error > enough:",
            "if False:",
            "test_report_contexts.py::test_the_stated_p_is_judged_with_the_share_that_differs",
        ),
        (
            "one of two conventions of the literature decides",
            "if decide(found.value, error) == decide(found.value + shift, error):",
            "if shift is not None:",
            "test_report_audit.py::test_a_quoted_number_may_be_of_either_convention",
        ),
        (
            "gains of texts have no pairing",
            "return gain if same else None",
            "return None",
            "test_report_pairs.py::test_differences_have_the_error_of_the_paired_bootstrap_and_of_the_seeds",
        ),
        (
            "n for n - 1 in a paired difference",
            "math.sqrt(count / (count - 1) * squares)",
            "math.sqrt(squares)",
            PAIRED,
        ),
        (
            "one standard error decides",
            "if abs(excess) < ERRORS * error:",
            "if abs(excess) < error:",
            "test_report_audit.py::test_orderings_need_two_standard_errors",
        ),
        (
            "one of many fails by chance",
            "least = beyond(sum(bool(part.error) for part in found))",
            "least = ERRORS",
            "test_report_audit.py::test_one_of_many_fails_only_beyond_chance_among_them",
        ),
        (
            "rows of this project lend their spread",
            "for place, (run, _) in self.runs.items() if place in printed",
            "for place, (run, _) in self.runs.items()",
            "test_report_audit.py::test_the_spread_is_that_of_the_papers_models_on_the_same_data_first",
        ),
        (
            "a p does not ask for the spread over seeds",
            "abs(gain.difference) < ERRORS * gain.seeds_error",
            "False",
            "test_report_contexts.py::test_the_stated_p_is_judged_with_the_share_that_differs",
        ),
        (
            "the spread over seeds is left out",
            "return math.hypot(over_sequences, *map(self._over_seeds, (first, second)))",
            "return over_sequences",
            PAIRED,
        ),
    ],
    "report/inputs.py": [
        (
            "scores that are gone are not missed",
            "for path in sorted({*listed, *folder",
            "for path in sorted({*folder",
            "test_records.py::test_scores_that_are_listed_and_gone_are_missed",
        ),
        ("scores are read more exactly than kept", "return unpacked(packed(found))", "return found", CLONE),
        (
            "what was kept for figures is not verified",
            "if (listed or kept) and",
            "if listed and not kept and",
            "test_records.py::test_what_was_kept_for_figures_is_verified",
        ),
        (
            "a time may be infinite",
            'if not math.isfinite(seconds := float(row["seconds"])):',
            'if (seconds := float(row["seconds"])) < 0:',
            "test_records.py::test_times_are_finite",
        ),
    ],
    "report/markdown.py": [
        (
            "a bar within a cell parts it",
            '[inline(cell).replace("|", "\\\\|") for cell in row]',
            "[inline(cell) for cell in row]",
            "test_page.py::test_bars_do_not_part_a_cell",
        ),
    ],
    "metrics.py": [
        (
            "a perplexity has the tolerance of a share",
            "if self.relative is None else self.relative * printed",
            "if True else self.relative * printed",
            "test_metrics.py::test_the_audits_tolerance",
        ),
        (
            "generated words count as test sequences",
            "return self.drawn in OWN",
            "return self.drawn in OWN[:2]",
            "test_metrics.py::test_a_metric_is_found_by_name_and_unit",
        ),
    ],
    "report/papers/tang2021/table4.csv": [
        ("0.68 is printed as 0.86", ",0.68,", ",0.86,", PRINTED),
    ],
    "report/papers/ziegler2019/table3.csv": [
        ("7.23 is printed as 7.32", ",7.23,", ",7.32,", PRINTED),
    ],
    "data/batching.py": [
        (
            "a piece moves past the highest key",
            "-min(most, low), min(most, high) + 1",
            "-min(most, low), most + 1",
            "test_transposed.py::test_a_piece_keeps_its_intervals_and_all_its_keys",
        ),
        (
            "moves are the same at every step",
            "np.random.default_rng([seed, *step, TRANSPOSED])",
            "np.random.default_rng([seed, TRANSPOSED])",
            "test_transposed.py::test_every_move_is_as_probable_and_drawn_by_seed_and_step",
        ),
        (
            "the last step is padding",
            "return steps < self.lengths[:, None]",
            "return steps < self.lengths[:, None] - 1",
            "test_batching.py::test_collate_text_pads_with_zeros_at_the_end",
        ),
        (
            "words are drawn whatever their counts",
            'np.searchsorted(np.cumsum(split.counts), rng.integers(split.counts.sum(), size=drawn), side="right")',
            "rng.integers(len(split.counts), size=drawn)",
            "test_data_words.py::test_batches_draw_words_by_frequency",
        ),
    ],
    "data/prepared.py": [
        (
            "questions are halved, whatever their paragraphs",
            "return self.paragraph\n",
            "return np.arange(len(self))\n",
            "test_halves.py::test_questions_are_halved_by_paragraph",
        ),
        (
            "a prepared file's checksum is not looked at",
            "if found != expected:",
            "if False:",
            "test_data_prepare.py::test_one_flipped_bit_in_a_prepared_file_is_found",
        ),
        (
            "the lengths of the test split are counted",
            "np.concatenate([self.train.lengths, self.valid.lengths])\n",
            "np.concatenate([self.train.lengths, self.valid.lengths, self.test.lengths])\n",
            "test_data_prepare.py::test_text_is_stripped_encoded_and_counted",
        ),
        ("features may be of other data", 'if header["dataset_sha256"] != data:', "if False:", OTHERS),
        (
            "features may be of other layers",
            'wanted, got = encoder.get(key), header["encoder"].get(key)',
            "wanted = got = encoder.get(key)",
            OTHERS,
        ),
        (
            "features are read into memory",
            'np.load(path, mmap_mode="r", allow_pickle=False)',
            "np.load(path, allow_pickle=False)",
            "test_features.py::test_features_are_mapped_into_the_contexts_and_their_batches",
        ),
    ],
    "features/encode.py": [
        (
            "infinite features are written",
            "if not (fits := np.abs(values) <= LARGEST).all():",
            "if not (fits := np.abs(values) >= 0).all():",
            DAMAGED,
        ),
    ],
    "features/encoder.py": [
        ("padding is read", "attention_mask=mask.long()", "attention_mask=torch.ones_like(mask).long()", FEATURES),
        ("dropout is on", "model.to(machine.device).eval()", "model.to(machine.device).train()", FEATURES),
        ("a weight may be missing", "not name.startswith(POOLER)):", 'name.startswith("nothing")):', DAMAGED),
        ("a pinned file may be another", '.get(name, "none")) != wanted:', '.get(name, "none")) == "":', ENCODER),
        ("the last layer alone", "for layer in self.layers)", "for layer in self.layers[-1:])", FEATURES),
    ],
    "features/windows.py": [
        ("a word's feature is a sum", "sums / counts[:, None].astype(states.dtype)", "sums", FEATURES),
        ("a word is taken at an edge", "np.minimum(before,", "-np.minimum(before,", LONG),
        ("windows do not overlap", "stride=room // 2", "stride=0", LONG),
        ("a word may be cut", "& (score[:, 1] > best[word, 1])", "& (score[:, 1] < best[word, 1])", OWNERS),
    ],
    "data/kinds/pairs.py": [
        (
            "a window begins with the answer",
            "start = self.first - (size - (self.after - self.first)) // 2",
            "start = self.first",
            "test_data_pairs.py::test_a_window_has_the_answer_in_its_middle",
        ),
        (
            "words of the test split can be written",
            'tokens.vocabulary(_texts(pairs["train"]), 1, size,',
            'tokens.vocabulary(_texts([*pairs["train"], *pairs["test"]]), 1, size,',
            "test_data_pairs.py::test_words_to_write_come_before_words_to_copy",
        ),
    ],
    "report/papers/schmidt2018/sampling.py": [
        (
            "a sampled order is that of the fewest sequences",
            "gap = gaps[most := shared[-1]]",
            "gap = gaps[most := shared[0]]",
            "test_report_schmidt2018.py::test_a_sampled_order_is_that_of_the_largest_number_of_sequences",
        ),
    ],
    "models/fusion.py": [
        (
            "what is added is not 0 at first",
            "nn.init.zeros_(self.out.weight)",
            "nn.init.ones_(self.out.weight)",
            "test_encoder_decoder.py::test_a_fusion_that_adds_begins_as_the_model_without_one",
        ),
    ],
    "data/halves.py": [
        (
            "questions are halved, not articles",
            "return half[self.parts]",
            "return np.arange(len(self.ids)) % 2",
            "test_lines.py::test_halves_are_whole_articles_and_about_as_large",
        ),
        (
            "all articles but one are of the second half",
            "half[part] = int(totals[1] < totals[0])",
            "half[part] = int(totals[1] < 2 * totals[0])",
            "test_lines.py::test_halves_are_whole_articles_and_about_as_large",
        ),
    ],
    "data/lines.py": [
        (
            "a line with an answer is replaced",
            "if len(other) != len(own) or (~free & (other >= 0)).any():",
            "if len(other) != len(own):",
            "test_lines.py::test_only_free_lines_are_replaced",
        ),
        (
            "the characters of later lines are one too few",
            "character + sizes[row][number] + len(JOIN)",
            "character + sizes[row][number]",
            "test_lines.py::test_contexts_are_put_together_from_two_pools",
        ),
    ],
    "data/sentences.py": [
        (
            "an answer may lie in two sentences",
            "start < after and end > before for start, end in kept",
            "start > after and end < before for start, end in kept",
            "test_sentences.py::test_sentences_hold_the_whole_text_and_its_tokens",
        ),
    ],
    "data/kinds/spans.py": [
        (
            "a question of training counts twice",
            "found = squad.different(of, parts.everywhere) if train else list(squad.every(of))",
            "found = list(squad.every(of))",
            "test_data_spans.py::test_questions_are_prepared",
        ),
        (
            "a sentence with another right answer is free",
            "free = tuple(not any(a < end and b > start for a, b in answers)",
            "free = tuple(not any(a < end and b > start for a, b in answers[:1])",
            "test_data_spans.py::test_answers_are_placed_in_lines",
        ),
    ],
    "data/readers/squad.py": [
        (
            "questions about the development set's paragraphs are trained on",
            '"train": {name: apart(found, development) for name, found in train.items()},',
            '"train": dict(train),',
            "test_data_pairs.py::test_questions_are_prepared",
        ),
    ],
    "models/spans.py": [
        (
            "a span may be one word longer",
            "beyond = end.new_full((len(end), longest - 1), -torch.inf)",
            "longest += 1\n    beyond = end.new_full((len(end), longest - 1), -torch.inf)",
            "test_spans.py::test_the_best_span_is_that_of_all_spans",
        ),
        (
            "an answer stays where its line stood",
            "return batch.given.firsts.gather(1, line) + within",
            "return (batch.given.lengths[:, None] * 0 + line) + within",
            "test_spans.py::test_an_answer_moves_with_its_line",
        ),
    ],
    "models/span_reader.py": [
        (
            "a question's padding is attended to",
            "scores = (context @ question.mT).masked_fill(~given.asked_mask[:, None], -torch.inf)",
            "scores = context @ question.mT",
            "test_models_contract.py::test_neither_the_batch_nor_padding_changes_a_score[span_reader]",
        ),
    ],
    "models/bert_span.py": [
        (
            "the question may answer itself",
            "found.masked_fill(~windows.inside, -torch.inf) for found in self.heads(windows)",
            "found for found in self.heads(windows)",
            "test_spans.py::test_the_answer_is_the_best_span_of_any_window",
        ),
    ],
    "textscores/answers.py": [
        (
            "articles count",
            'return ARTICLES.sub(" ", text.lower()',
            'return re.sub("^$", " ", text.lower()',
            "test_answers.py::test_normalisation",
        ),
    ],
    "data/kinds/choices.py": [
        (
            "test questions have targets",
            'drawn = {} if name == "test" else corpus.drawn',
            "drawn = corpus.drawn",
            "test_concepts.py::test_the_answer_s_word_is_like_the_sort_of_its_line_s_noun",
        ),
        (
            "another clip's question is the same",
            "if question.id in clips and question.clip != clips",
            "if False and question.clip != clips",
            "test_data_choices.py::test_a_second_set_of_other_questions_is_refused",
        ),
        (
            "training questions are in the second set",
            'name == "test" and question.id in plus',
            "question.id in plus or question.id == 3",
            "test_data_choices.py::test_questions_of_tvqa_plus_are_marked_among_those_of_tvqa_by_their_ids",
        ),
        (
            "a question without a right answer is kept",
            "    if unknown:",
            "    if False:",
            "test_data_choices.py::test_questions_that_cannot_be_used_are_refused",
        ),
        (
            "every line may be replaced",
            "within = np.zeros(",
            "within = np.ones(",
            "test_data_choices.py::test_questions_have_all_lines_of_their_clips_and_those_of_their_time_are_free",
        ),
    ],
    "data/concepts.py": [
        (
            "any overlap is of the same thing",
            "iou(one, box) >= OVERLAP for box",
            "iou(one, box) > 0 for box",
            "test_concepts.py::test_targets_are_those_of_all_pairs",
        ),
        (
            "a label is of every word",
            "if _words(box.label) == (word,)",
            "if _words(box.label)",
            "test_concepts.py::test_targets_are_those_of_all_pairs",
        ),
        (
            "frames begin at the second 0",
            "np.arange(1, len(frames) + 1)[:, None]",
            "np.arange(len(frames))[:, None]",
            "test_concepts.py::test_a_frame_is_beside_the_nearest_line_and_a_line_has_its_most_frequent_words",
        ),
    ],
    "data/embedded/dialogues.py": [
        (
            "every question is in the second set",
            "rows[::2])  # of the last split",
            "rows)",
            "test_data_choices.py::test_every_other_test_question_is_in_the_second_set",
        ),
        (
            "what is told twice is told",
            "len(nouns) == len(found) == 1",
            "len(found) == 1",
            "test_data_choices.py::test_what_the_rule_does_not_tell_is_impossible",
        ),
        (
            "an answer stands in no line",
            "for line in dialogue.lines if line[2] != noun]",
            "for line in dialogue.lines[:1] * 5]",
            "test_data_choices.py::test_all_words_of_all_answers_stand_in_the_dialogue",
        ),
    ],
    "models/stage.py": [
        (
            "padding reaches the convolutions",
            "self.over_time[number]((inner * mask[..., None]).mT).mT",
            "self.over_time[number](inner.mT).mT",
            "test_models_contract.py::test_neither_the_batch_nor_padding_changes_a_score[stage]",
        ),
        (
            "a span may end before it starts",
            "device=both.device).triu()",
            "device=both.device)",
            "test_stage.py::test_the_answers_and_their_spans_are_those_of_the_loops",
        ),
        (
            "a far proposal is trained on",
            "kept = (overlap(proposed, given.span) >= OVERLAP) & (p",
            "kept = (p",
            "test_stage.py::test_in_training_answers_are_scored_by_the_true_span_and_by_a_near_proposal",
        ),
        (
            "other words are compared with none",
            "signs == -1).to(x.dtype)",
            "signs == 0).to(x.dtype)",
            "test_stage.py::test_the_loss_of_attention_is_that_of_all_pairs",
        ),
        (
            "attention is to repel",
            "x[:, None, :] - x[:, :, None]",
            "x[:, :, None] - x[:, None, :]",
            "test_stage.py::test_the_loss_of_attention_has_the_gradient_of_its_differences",
        ),
        (
            "the first answer is supervised",
            "reading.cosine[rows, given.correct].transpose",
            "reading.cosine[rows, 0 * given.correct].transpose",
            "test_stage.py::test_the_term_is_the_weighted_loss_of_the_right_answer_s_words",
        ),
        (
            "the true span is known when answers are chosen",
            "        return Answered(wide(self.scores(reading, spans))",
            "        return Answered(wide(self.scores(reading, given.span[:, None].expand_as(spans)))",
            "test_stage.py::test_the_answers_and_their_spans_are_those_of_the_loops",
        ),
    ],
    "evaluation/kinds/choices.py": [
        (
            "the second set is all questions",
            "right[passages.plus]",
            "right",
            "test_evaluation_choices.py::test_the_second_set_is_scored_over_its_own_questions",
        ),
        (
            "a tie is right",
            "best[correct] / best.sum()",
            "float(best[correct])",
            "test_evaluation_choices.py::test_word_overlap_weighs_words_by_their_rarity",
        ),
        (
            "lines end with the last of them",
            "times[:, 1].max()), passages",
            "times[-1, 1]), passages",
            "test_evaluation_choices.py::test_the_last_end_of_lines_counts_and_not_the_end_of_the_last",
        ),
        (
            "a wrong answer has its time",
            "right & (iou >= OVERLAP)",
            "iou >= OVERLAP",
            "test_evaluation_choices.py::test_the_metrics_are_the_means_of_the_rows",
        ),
    ],
    "data/embedded/asking.py": [
        (
            "the form is known",
            "self.forms()[found.verbs[place]].tolist()",
            "(self.forms()[found.verbs[place]].round()).tolist()",
            "test_data_pairs.py::test_the_forms_of_a_question_are_all_there_are",
        ),
        (
            "a paragraph is in two splits",
            "if tuple(words) not in seen:",
            "if True:",
            "test_data_pairs.py::test_an_embedded_source_of_questions_without_room_is_refused",
        ),
    ],
    "data/readers/lexicon.py": [
        (
            "counts are unpacked whole",
            "            for number, line in enumerate(file, 1):",
            "            for number, line in enumerate(file.readlines(), 1):",
            "test_data_download.py::test_counts_are_read_as_a_stream",
        ),
        (
            "the test half is in the training half",
            'return {"train": counts - test - valid,',
            'return {"train": counts - valid,',
            "test_data_words.py::test_the_splits",
        ),
        (
            "the entropy is in bits",
            "-(p * np.log(p)).sum()",
            "-(p * np.log2(p)).sum()",
            "test_data_words.py::test_entropy",
        ),
    ],
    "config/own.py": [
        (
            "a link may lead out of the project",
            "if not any(found.resolve().is_relative_to(root.resolve()) for root in roots):",
            "if False:",
            "test_data_own.py::test_a_link_that_leads_out_is_refused_and_one_into_the_mirror_is_not",
        ),
        (
            "a changed file is taken without a word",
            "if expected in (None, found):",
            "if True:",
            "test_data_own.py::test_a_changed_file_is_told_with_both_checksums_and_the_remedy",
        ),
        (
            "the record wins over params.yaml",
            "expected = stated.lower() if stated else recorded().get(path)",
            "expected = recorded().get(path) or stated",
            "test_data_own.py::test_a_changed_file_is_told_with_both_checksums_and_the_remedy",
        ),
    ],
    "data/kinds/shared.py": [
        (
            "a sequence is in two splits",
            "[found[place] for place in np.sort(places)]",
            "[found[place] for place in np.sort(order[: len(places)])]",
            "test_data_own.py::test_a_text_is_divided_by_its_shares_and_the_seed",
        ),
        (
            "the seed divides nothing",
            "np.random.default_rng([filled.seed, 3])",
            "np.random.default_rng([0, 3])",
            "test_data_own.py::test_a_text_is_divided_by_its_shares_and_the_seed",
        ),
    ],
    "data/readers/polyphonic.py": [
        ("a pickle may name any number of frames", "frames > FRAMES or notes > NOTES", "False", PICKLES),
        (
            "a dict may have any keys",
            "if not all(isinstance(key, str) for key in self.stack[first::2]):",
            "if False:",
            PICKLES,
        ),
        (
            "notes lie a key too high",
            "np.array(notes) - LOW] = 1",
            "(np.array(notes) - LOW + 1) % KEYS] = 1",
            "test_data_prepare.py::test_pickles_of_notes_become_rolls",
        ),
    ],
    "files.py": [
        (
            "any change of params.yaml is one of the scale",
            'return alike and first | {"scale": None} == second | {"scale": None}',
            "return alike",
            "test_files.py::test_the_revision_of_changed_source_is_dirty_but_not_for_the_scale_that_dvc_makes",
        ),
        (
            "what killed writers left stays",
            "        if (found := left.fullmatch(other.name)) and _dead(",
            "        if False and _dead(",
            LEFT,
        ),
        ("a live writer's temporary file goes", 'not Path(f"/proc/{process}").exists() and ', "", LEFT),
        (
            "what is left of a writer elsewhere stays for ever",
            "return time.time() - path.lstat().st_mtime > OLD",
            "return False",
            "test_files.py::test_what_a_writer_elsewhere_left_goes_by_its_age",
        ),
        (
            "a link at a temporary name is followed",
            "os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW",
            "os.O_WRONLY | os.O_CREAT",
            "test_files.py::test_a_link_at_a_temporary_name_is_not_followed",
        ),
        (
            "a file in a folder's place is deleted",
            "    if path.exists() and not path.is_dir():",
            "    if False:",
            "test_files.py::test_a_file_in_a_folders_place_and_the_other_way_round",
        ),
        (
            "a plain write in place of the atomic one",
            "    with replacing(path) as temporary:\n        temporary.write_bytes(content)",
            "    path.parent.mkdir(parents=True, exist_ok=True)\n    path.write_bytes(content)",
            ATOMIC,
        ),
        (
            "a file has its name before it is on the disk",
            "            os.fsync(file.fileno())\n",
            "            pass\n",
            "test_files.py::test_a_file_is_on_the_disk_before_it_has_its_name",
        ),
        ("every lock is shared", "fcntl.LOCK_SH if shared else fcntl.LOCK_EX", "fcntl.LOCK_SH", LOCKS),
        (
            "a digest depends on the order of keys",
            "json.dumps(value, sort_keys=True, allow_nan=False)",
            "json.dumps(value, allow_nan=False)",
            "test_files.py::test_digests_are_of_the_whole_value",
        ),
        ("a key given twice counts once", "if len(found) < len(pairs):", "if False:", JSON),
        ("a number may be infinite", "if not math.isfinite(value):", "if False:", JSON),
        ("nesting has no end", "except RecursionError:", "except MemoryError:", JSON),
        ("a folder in a file's place is met by a traceback", "except IsADirectoryError:", "except EOFError:", JSON),
        (
            "a seal is of anything",
            "if found is None or found != digest(content):",
            "if found is None:",
            "test_files.py::test_a_seal_is_of_the_whole_content",
        ),
    ],
    "records.py": [
        (
            "metrics are read without their seal",
            "return _metrics(files.read_sealed(paths",
            "return _metrics(files.read_json(paths",
            NUMBERS,
        ),
        ("a record counts twice", "or (seed, metric) in found:", "or False:", NUMBERS),
        ("a seed may be no number", "if type(seed) is not int or", "if", NUMBERS),
        ("a unit may be none", "not isinstance(unit, str)", "False", NUMBERS),
        ("a truth or a text is a number", "type(value) in (int, float) and math.isfinite(value)", "True", NUMBERS),
        ("a number may be infinite", " and math.isfinite(value)", "", TRAININGS),
        ("the headline is not compared", 'if metric == "nll" and own', 'if metric == "nlls" and own', NUMBERS),
        ("a record may be of another run", '_place(content, {"scale": scale, "run": run}, path)', "pass", NUMBERS),
        ("a training may be of another seed", '"run": run, "seed": seed}, path)', '"run": run}, path)', TRAININGS),
        ("numbers of a training are not looked at", "        if name in record:", "        if False:", TRAININGS),
        ("a history may be cut short", "    if found != wanted:", "    if False:", TRAININGS),
        (
            "a kept record is read without its seal",
            "return _metrics(files.read_sealed(path), scale, run, path) if",
            "return _metrics(files.read_json(path), scale, run, path) if",
            "test_records.py::test_kept_records_are_refused_alike",
        ),
        (
            "what was kept counts beside what was made",
            "    if here(scale, run):",
            "    if False:",
            "test_report_tables.py::test_kept_records_stand_in_for_runs_that_were_not_made_here",
        ),
    ],
    "models/saved.py": [
        (
            "a seed may be a copy of another",
            'if (record["run"], record["seed"]) != (key.name, seed):',
            "if False:",
            "test_evaluation_seeds.py::test_a_seed_that_was_copied_over_another_is_refused",
        ),
    ],
    "report/acceptance.py": [
        (
            "a model may beat its source",
            "found.value < -metrics.BELOW * error",
            "False",
            "test_acceptance.py::test_a_run_below_its_source_is_named",
        ),
        (
            "only a baseline that is missing is far from what can be reached",
            "elif cell.summary.value < best - NEAR:",
            "elif False:",
            "test_acceptance.py::test_a_baseline_far_from_what_can_be_reached_is_named",
        ),
    ],
    "report/keep.py": [
        (
            "a record of fewer seeds replaces one of more",
            "if alike and (lost := sorted(seeds[0] - seeds[1])):",
            "if False and (lost := sorted(seeds[0] - seeds[1])):",
            "test_records.py::test_a_record_is_not_replaced_by_one_with_fewer_seeds_unless_asked",
        ),
        (
            "joined scores are those of the new seeds",
            "Mean(shares[0] * a.nll + shares[1] * b.nll, a.steps)",
            "Mean(b.nll, a.steps)",
            "test_records.py::test_seeds_of_several_machines_join_in_one_record",
        ),
        (
            "seeds of other data join",
            '("data", lambda one: [record["dataset_sha256"] for record in one["train"]])',
            '("data", lambda one: [0])',
            "test_records.py::test_seeds_that_differ_do_not_join",
        ),
        (
            "a seed joins itself",
            "if both := sorted(seeds[0] & seeds[1]):",
            "if both := []:",
            "test_records.py::test_seeds_that_differ_do_not_join",
        ),
        ("scores are not kept", 'return {"scores": packed(scores)} if scores else {}', "return {}", CLONE),
        (
            "the gaps of words are not kept",
            '"gap_lengths": "gaps.csv", "entropies": "gaps.csv"}',
            '"gap_lengths": "scores.csv", "entropies": "scores.csv"}',
            CLONE,
        ),
    ],
    "report/gaps.py": [
        (
            "gaps are kept by less than they are read",
            'step, gap = int(row["step"]), round(',
            'step, gap = int(row["step"]), float(',
            CLONE,
        ),
    ],
    "cli.py": [
        (
            "a stage takes no lock of its key",
            "with _checkout(), files.lock(paths.lock(given.command, key)):",
            "with _checkout():",
            "test_reliability.py::test_two_equal_trainings_at_once_train_once",
        ),
        ("what a stage prints can fail it", "sys.stdout, sys.stderr = map(_BestEffort, streams)", "pass", PRINTS),
        (
            "Python's own end flushes what could not be written",
            "os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())",
            "pass",
            PRINTS,
        ),
        (
            "what the system refuses is a traceback",
            "except (OSError, MemoryError, RecursionError) as error:",
            "except ZeroDivisionError as error:",
            "test_cli.py::test_what_the_system_refuses_is_one_line_with_a_remedy",
        ),
        (
            "a stage under DVC takes no lock of the checkout",
            "with _checkout(), files.lock(paths.lock(given.command, key)):",
            "with files.lock(paths.lock(given.command, key)):",
            CHECKOUT,
        ),
        (
            "the stage matrix under DVC takes no lock of the checkout",
            'with _checkout(), files.lock(paths.lock("matrix")):',
            'with files.lock(paths.lock("matrix")):',
            CHECKOUT,
        ),
        (
            "an interruption ends with 1",
            "        return Interrupted.exit_status\n    except KeyboardInterrupt",
            "        return 1\n    except KeyboardInterrupt",
            "test_cli.py::test_an_interruption_ends_with_status_75",
        ),
    ],
    "__main__.py": [
        (
            "SIGHUP kills a stage",
            "for number in (signal.SIGTERM, signal.SIGHUP):",
            "for number in (signal.SIGTERM,):",
            "test_cli.py::test_a_stage_that_is_ended_leaves_nothing",
        ),
        ("ASCII loses what was printed", 'stream.reconfigure(errors="backslashreplace")', "pass", PRINTS),
    ],
    "training/stopping.py": [
        (
            "SIGHUP writes no checkpoint",
            "(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)",
            "(signal.SIGTERM, signal.SIGINT)",
            NOTED,
        ),
        ("nohup is overruled", "if signal.getsignal(number) != signal.SIG_IGN:", "if True:", NOTED),
    ],
    "data/readers/unpacking.py": [
        (
            "what comes out of a file has no limit",
            "if self._seen > self._limit:",
            "if False:",
            "test_data_download.py::test_zip_and_counts_stop_at_the_limit",
        ),
    ],
    "data/download.py": [
        (
            "a file with an error is recorded",
            "        if given:\n            _try(",
            "        if False:\n            _try(",
            "test_data_own.py::test_a_wrong_text_is_refused_and_can_be_corrected",
        ),
        (
            "the mirror's gzip has no limit",
            "with unpacking.gunzipped(zipped) as content:",
            "with gzip.open(zipped) as content:",
            "test_data_download.py::test_a_gzip_bomb_in_the_mirror_stops_at_the_limit",
        ),
        (
            "what a killed download left stays",
            'with files.scratch(cache / "retrieved") as folder:',
            'with __import__("tempfile").TemporaryDirectory(dir=cache) as folder:',
            "test_data_download.py::test_what_a_killed_download_left_goes_with_the_next",
        ),
    ],
    "params.py": [
        ("aliases have no end", "if _values(node, {}) > VALUES:", "if False:", YAML),
        ("depth has no end", "if depth > DEPTH:", "if False:", YAML),
    ],
    "config/entries.py": [
        (
            "bases have no end",
            "itertools.islice(_chain(part, name, known), BASES_IN_ALL + 1)",
            "_chain(part, name, known)",
            YAML,
        ),
    ],
    "stages.py": [
        (
            "a figure of tasks does not notice another candidate",
            'for part in ("tasks", "rows") if part in table',
            'for part in ("rows",) if part in table',
            "test_workflow.py::test_a_change_of_a_task_changes_its_table_and_figure_alone",
        ),
        (
            "a table of tasks does not wait for trainings, whose times it shows",
            """for run in runs] if "tasks" in found.table(name) else []""",
            "for run in ()]",
            "test_workflow.py::test_both_engines_agree[demo]",
        ),
    ],
    "config/checks.py": [
        ("candidates of a task are of several data sets", "if len(datasets) > 1:", "if False:", MISTAKE),
        ("a candidate is named twice", "if one in found:", "if False:", MISTAKE),
        ("more of a candidate's metric is better", "elif not row.loss:", "elif False:", MISTAKE),
        (
            "both judges may be of the same half",
            "if sorted(map(str, map(_half, trainings))) != sorted(map(str, HALVES)):",
            "if not {*map(_half, trainings)} <= {*HALVES}:",
            "test_rewrites.py::test_two_judges_are_runs_on_the_two_halves_of_the_same_questions",
        ),
        (
            "text may break a line or look like another",
            'if lines := list(_unprintable("", content)):',
            "if lines := []:",
            "test_hostile.py::test_text_that_breaks_a_line_or_looks_like_other_text_is_refused",
        ),
    ],
    "tracking/store.py": [
        (
            "a broken store is tried for a hundred seconds",
            "MAX_RETRY_COUNT = 6",
            "MAX_RETRY_COUNT = 10",
            "test_tracking.py::test_a_broken_store_costs_one_warning_in_seconds",
        ),
    ],
    "errors.py": [
        ("a query is shown", 'return "//" + re.split(r"[?#]", rest)[0]', 'return "//" + rest', ADDRESSES),
        (
            "a user is shown",
            'user, at, rest = found[1].rpartition("@")',
            'user, at, rest = "", "", found[1]',
            ADDRESSES,
        ),
    ],
    "report/figures.py": [
        (
            "a figure without matplotlib is a traceback",
            "    except ImportError as error:\n        raise Problem",
            "    except ZeroDivisionError as error:\n        raise Problem",
            "test_report_figures.py::test_without_matplotlib_a_figure_says_so",
        ),
    ],
    "textscores/bleu.py": [
        (
            "long texts gain by their length",
            "np.exp(np.minimum(0.0, 1.0 - sums[..., 1]",
            "np.exp(np.minimum(9.0, 1.0 - sums[..., 1]",
            "test_bleu.py::test_corpora_of_any_lengths_score_as_sacrebleu_scores_them",
        ),
        ("a word counts as often as it is written", "sum(min(count, other[gram])", "sum(min(count, count)", CORPORA),
        ("short texts are not penalised", "np.minimum(0.0, 1.0 -", "np.minimum(0.0, 0.0 * ", CORPORA),
        (
            "an order without a match is left out",
            "* brevity(sums) * matched",
            "* brevity(sums)",
            CORPORA,
        ),
    ],
    "textscores/bootstrap.py": [
        (
            "a gain of nothing counts as one",
            "(gains <= 0).sum()",
            "(gains < 0).sum()",
            "test_bootstrap.py::test_p_values",
        ),
        (
            "each block draws the same questions",
            "        drawn = generator.integers(0, questions, (rows, questions))",
            "        drawn = np.random.Generator(np.random.PCG64(seed)).integers(0, questions, (rows, questions))",
            "test_bootstrap.py::test_draws_are_those_of_one_stream_whatever_the_block",
        ),
    ],
    "textscores/meteor.py": [
        (
            "a process that died is waited for",
            "            if not read:\n                raise self._died()",
            "            if not read:\n                break",
            "test_meteor.py::test_a_killed_program_is_said",
        ),
        ("bars reach the protocol", 'BAR.sub(" ", text.lower())', "text.lower()", BARS),
        (
            "the process outlives its use",
            "        self._process.kill()\n        self._process.wait()",
            "        pass",
            ONCE,
        ),
        ("a pair is asked again", "self._known.get((hypothesis, reference))", "None", ONCE),
    ],
    "models/translator.py": [
        (
            "a subword of a long translation counts less",
            ".sum(1) / self.mean_length}",
            ".sum(1) / batch.lengths}",
            "test_translator.py::test_every_subword_has_the_same_weight",
        ),
        (
            "the future is read",
            "causal=past is None",
            "causal=False",
            "test_translator.py::test_it_is_torchs_transformer_with_tied_scaled_embeddings_and_sinusoids",
        ),
        (
            "subwords are not scaled",
            "embedding * embedding.shape[-1] ** 0.5",
            "embedding",
            "test_translator.py::test_it_is_torchs_transformer_with_tied_scaled_embeddings_and_sinusoids",
        ),
        (
            "validation is smoothed",
            "self.config.smoothing if self.training else 0.0",
            "self.config.smoothing",
            "test_translator.py::test_smoothing_is_of_training_alone_and_even_over_what_can_be_said",
        ),
        (
            "every step stands at the first position",
            "candidates[:, None], self.step + 1",
            "candidates[:, None], self.step",
            "test_translator.py::test_a_cached_step_gives_the_scores_of_the_whole_text",
        ),
    ],
    "data/kinds/translation.py": [
        (
            "held-out sentences are trained on",
            'if pair.ro not in seen["ro"] and pair.en not in seen["en"]',
            "if pair",
            "test_data_translation.py::test_a_training_pair_with_a_held_out_sentence_is_dropped_and_counted",
        ),
        (
            "long test sentences are dropped",
            'kept = short if name == "train" else range(len(pairs))',
            "kept = short",
            "test_data_translation.py::test_long_pairs_are_dropped_from_training_alone",
        ),
        (
            "translators read the questions that readers are tested on",
            "if not pair.part.startswith(TESTED)",
            "if pair",
            "test_data_translation.py::test_questions_of_squads_development_set_are_neither_trained_on_nor_held_out",
        ),
    ],
    "comparison/translations.py": [
        (
            "case does not count",
            "cased=True",
            "cased=False",
            "test_compare_translations.py::test_the_case_of_a_letter_counts",
        ),
        (
            "long sentences are short",
            "values * short[:, None]",
            "values",
            "test_compare_translations.py::test_every_score_is_sacrebleus_of_its_sentences",
        ),
    ],
    "comparison/scores.py": [
        (
            "a gain is of seeds that one run alone has",
            "by_seed = [a.value - b.value for a, b in both]",
            "by_seed = [a.value - both[0][1].value for a in seeds[first].values()]",
            "test_compare.py::test_a_gain_is_over_the_seeds_that_both_have",
        ),
        (
            "the first seed stands for all",
            "np.mean([one.draws for one in some.values()], axis=0)",
            "next(iter(some.values())).draws",
            "test_compare.py::test_errors_intervals_and_p_are_those_of_the_same_draws",
        ),
        (
            "one system's METEOR is that of another's texts",
            "if not abs(own - summed) < CLOSE:",
            "if False:",
            "test_compare.py::test_a_meteor_that_disagrees_with_its_sums_is_missing",
        ),
        (
            "a failing METEOR takes the others with it",
            '        return found, {"meteor": str(problem)}',
            "        raise problem",
            "test_compare.py::test_without_meteor_the_other_metrics_stand",
        ),
    ],
    "comparison/systems.py": [
        (
            "texts that were changed are compared",
            "        if sha256 != listed:",
            "        if listed is None:",
            "test_compare.py::test_texts_that_were_changed_or_are_of_other_data_are_refused",
        ),
        (
            "texts for other data are compared",
            'if record.get("dataset_sha256") != dataset.sha256:',
            "if False:",
            "test_compare.py::test_texts_that_were_changed_or_are_of_other_data_are_refused",
        ),
        (
            "texts in another order are compared",
            "if [name for name, _ in read] != list(wanted):",
            "if len(read) != len(wanted):",
            "test_compare.py::test_texts_that_are_not_of_the_questions_are_refused",
        ),
        (
            "answers to other questions count",
            "if [name for name, _ in read] != list(wanted):",
            "if len(read) != len(wanted):",
            "test_compare_readers.py::test_answers_to_other_questions_are_refused",
        ),
    ],
    "comparison/raters.py": [
        (
            "the first system is always A",
            "*(texts[::-1] if turned else texts)",
            "*texts",
            "test_raters.py::test_either_system_may_be_a",
        ),
        (
            "identical texts are judged",
            "if first.texts[place] != second.texts[place]]",
            "if place >= 0]",
            "test_raters.py::test_pairs_are_of_different_texts_and_the_identical_ones_are_counted",
        ),
        (
            "a text can end the page's data",
            'data.replace("<", "\\\\u003c")',
            "data",
            "test_raters.py::test_a_text_cannot_end_the_data_of_the_page",
        ),
        (
            "the page tells the systems",
            'data = json.dumps({"sheet": sheet,',
            'data = json.dumps({"first": "squad-qg-lang_flow", "sheet": sheet,',
            "test_raters.py::test_nothing_that_a_rater_sees_tells_the_systems",
        ),
    ],
    "report/comparisons.py": [
        (
            "n for n - 1 over seeds",
            "statistics.stdev(values) if",
            "statistics.pstdev(values) if",
            "test_evaluation_exact.py::test_seeds_have_the_spread_of_n_minus_one",
        ),
        ("verdicts on other texts count", 'if row["draw"] != draw:', "if False:", REFUSED_SHEETS),
        (
            "a doubled verdict counts",
            'if pair in found.setdefault(row["rater"], {}):',
            'if found.setdefault(row["rater"], {}) is None:',
            REFUSED_SHEETS,
        ),
        ("a missing verdict is passed over", "if pair not in own]:", "if False]:", REFUSED_SHEETS),
        (
            "A is always the first system",
            'counts[(a if verdict == "A" else _other(a)) if alone else TIE] += 1',
            'counts[(FIRST if verdict == "A" else SECOND) if alone else TIE] += 1',
            "test_report_pairs.py::test_a_filled_sheet_comes_back_into_the_table",
        ),
        (
            "the sign test is one-sided",
            "min(1.0, 2 * tail / 2**count)",
            "min(1.0, tail / 2**count)",
            "test_report_pairs.py::test_the_sign_test_is_scipys",
        ),
    ],
    "../../params.yaml": [
        (
            "AF / SCF stands in the row of IAF / SCF of Table 3",
            '      "IAF / SCF": iaf_scf\n  ziegler2019-music:',
            '      "IAF / SCF": af_scf\n  ziegler2019-music:',
            CELLS,
        ),
        (
            "a cell of words is of another metric",
            '"H[P_train, P^]": words-gru16.cross_entropy_train',
            '"H[P_train, P^]": words-gru16.cross_entropy_test',
            CELLS,
        ),
        (
            "a row of the paper is left out where its best is picked",
            "paper: [jsb-af_af, jsb-af_scf, jsb-iaf_scf]",
            "paper: [jsb-af_af, jsb-iaf_scf]",
            "test_tables_of_params.py::test_candidates_have_the_roles_of_their_rows",
        ),
    ],
}


def _placed(file: str) -> str:
    return file.removeprefix("../../") if file.startswith("../../") else f"src/seqflows/{file}"


FILES = {path.name: path for path in Path(__file__).parent.rglob("test_*.py")}


def _found(test: str) -> str:
    """A test by the name of its file, with its folder."""
    file, colons, name = test.partition("::")
    path = FILES[file].relative_to(Path(__file__).parents[1]) if file in FILES else f"tests/{file}"
    return f"{path}{colons}{name}"


MUTANTS = [
    Mutant(_placed(file), why, old, new, " ".join(map(_found, tests.split())))
    for file, entries in PLANTED.items()
    for why, old, new, tests in entries
]
SURVIVORS: dict[str, str] = {}  # name -> why it may
