"""The ablation benchmark: its plan, its processes, its files and its report; one tiny real run."""

import dataclasses
import json
import math
import operator
import os
import time

import pytest

from benchmarks.ablations import measure, run
from benchmarks.ablations.experiments import EXPERIMENTS, Claim, Cut, Variant
from benchmarks.ablations.report import held, judge, make_report, markdown
from benchmarks.ablations.results import RESULT, RESULTS, collect, read_results, write_json
from benchmarks.ablations.runs import (
    Place,
    Run,
    clip_stores,
    configuration,
    needed,
    planned,
    trained,
)
from benchmarks.ablations.schedule import Schedule
from benchmarks.ablations.workers import Job, work
from hand_pose_ros.training.tasks.registry import make_task

THERMAL = Run(experiment='sensors', variant='thermal', seed=0)


@pytest.fixture
def place(tmp_path):
    return Place(output=tmp_path / 'out', cache=tmp_path / 'clips')


def test_runs_are_seed_major_and_come_after_what_they_need():
    runs = planned(list(EXPERIMENTS), [0, 1])
    assert len(set(runs)) == len(runs) == 2 * sum(len(one.variants) for one in EXPERIMENTS.values())
    assert [run.seed for run in runs] == sorted(run.seed for run in runs)
    for run_ in runs:
        before = needed(run_)
        assert before is None or runs.index(before) < runs.index(run_)


def test_what_another_experiment_trains_is_planned_with_the_one_that_needs_it():
    runs = planned(['mask_guidance'], [3])
    thermal, guided = dataclasses.replace(THERMAL, seed=3), runs[-1]
    assert guided.variant == 'mask-guided' and trained(guided) == thermal
    assert runs.index(thermal) < runs.index(guided)
    assert trained(runs[0]) == runs[0]


@pytest.mark.parametrize('name', EXPERIMENTS)
def test_every_configuration_is_valid_and_every_claim_can_be_judged(name, place):
    experiment = EXPERIMENTS[name]
    # Presets of other sizes change, the published one stays; shipped weights have their own.
    size = 'small' if experiment.config.get('initialise_from') == 'shipped' else 'base'
    assert experiment.config['network']['size'] == size
    for one in planned([name], [0]):
        make_task(configuration(one, place)).build_network()
    for claim in experiment.claims:
        assert claim.metric in experiment.metrics
        assert {claim.setting, claim.better_setting or claim.setting} <= {*experiment.settings}
        experiment.variant(claim.worse), experiment.variant(claim.better)


def test_variants_of_an_experiment_read_the_same_clips_unless_they_change_the_sensor(place):
    for name in ('frames', 'mask_guidance', 'kpe', 'dense'):
        runs = [one for one in planned([name], [0, 1]) if one.experiment == name]
        trainings = {frozenset(clip_stores(one, place)) for one in runs if trained(one) == one}
        assert len(trainings) == 1
        tests = {frozenset(clip_stores(one, place)) for one in runs if trained(one) != one}
        assert all(read < next(iter(trainings)) for read in tests), 'with nothing to train on'


def test_steps_and_batches_are_scaled_and_precision_follows_the_processor(place):
    short = dataclasses.replace(place, scale=0.5, batch=0.25)
    config, longer = configuration(THERMAL, short), configuration(THERMAL, place)
    assert config.precision == longer.precision == 'auto'
    assert config.steps == config.validate_every == longer.steps // 2
    assert config.data.batch == longer.data.batch // 4
    assert configuration(THERMAL, dataclasses.replace(place, batch=1e-3)).data.batch == 1


def test_clips_are_rendered_once_and_before_anything_that_reads_them(place):
    runs = planned(['sensors', 'mask_guidance'], [0])
    schedule = Schedule(runs, (), place)
    jobs = [schedule.take() for _ in schedule.renderings]
    assert len({job.name.key for job in jobs}) == len(jobs)
    assert schedule.take() is None
    thermal = [job for job in jobs if job.name.data.stream == 'thermal']
    for job in thermal:
        schedule.finished(job.name)
    ready = [THERMAL.variant, 'no spatial encoder', 'no mask guidance']
    assert [schedule.take().name.variant for _ in ready] == ready
    assert schedule.take() is None, 'all others need it or other clips'
    schedule.finished(THERMAL)
    assert schedule.take().name.variant == 'mask-guided'


def test_what_has_a_result_is_not_done_again(place):
    runs = planned(['frames'], [0])
    assert not Schedule(runs, runs, place).renderings
    schedule = Schedule(runs, runs[:-1], place)
    for clips in schedule.renderings:
        schedule.take(), schedule.finished(clips)
    assert schedule.take().name == runs[-1]
    assert schedule.take() is None


def test_what_failed_is_tried_once_more(place):
    runs = planned(['dense'], [0])[:1]
    schedule = Schedule(runs, (), place)
    jobs = [schedule.take() for _ in schedule.renderings]
    for job in jobs[1:]:
        schedule.finished(job.name)
    schedule.failed(jobs[0].name)
    assert schedule.take() == jobs[0]
    schedule.finished(jobs[0].name)
    for _ in range(2):
        assert schedule.take().name == runs[0]
        schedule.failed(runs[0])
    assert schedule.take() is None


def done_by(jobs, **limits):
    """Do jobs in processes; returns their outcomes by name."""
    jobs, outcomes = list(jobs), {}
    work(
        lambda: jobs.pop(0) if jobs else None,
        lambda job, outcome: outcomes.update({job.name: outcome}),
        **limits,
    )
    return outcomes


def test_processes_do_all_jobs_and_survive_those_that_fail():
    outcomes = done_by(
        [
            Job(name='sum', function=operator.add, arguments=(1, 2)),
            Job(name='error', function=operator.truediv, arguments=(1, 0)),
            Job(name='killed', function=os._exit, arguments=(7,)),
            Job(name='process', function=os.getpid, arguments=()),
        ],
        processes=1,
    )
    assert outcomes['sum'].value == 3
    assert 'ZeroDivisionError' in outcomes['error'].error
    assert outcomes['killed'].error == 'the process ended with status 7'
    assert outcomes['process'].value != os.getpid()


def test_after_the_deadline_nothing_begins_and_what_runs_is_ended():
    began = time.monotonic()
    jobs = [Job(name=number, function=time.sleep, arguments=(100,)) for number in range(3)]
    assert not done_by(jobs, processes=2, deadline=time.time() + 0.2, grace=0.2)
    assert time.monotonic() - began < 20


def test_results_of_all_runs_are_in_one_file(place):
    runs = planned(['dense'], [0])
    for number, one in enumerate(runs):
        write_json(place.folder(one) / RESULT, result(one, {'office': {'error': number}}))
    assert set(collect(place.output)) == set(runs)
    again = read_results([place.output / RESULTS])
    assert again[runs[2]]['errors'] == {'office': {'error': 2}}
    assert not list(place.output.glob('*.json.*'))


def result(one, errors):
    return {**vars(one), 'frames': 100, 'training_s': 1.0, 'device': 'a test', 'errors': errors}


def measured(name, value, seeds=(0, 1, 2)):
    """Results of an experiment whose errors are ``value(variant, setting, seed)``."""
    experiment = EXPERIMENTS[name]
    return {
        one: result(one, {
            setting: dict.fromkeys(experiment.metrics, value(one.variant, setting, one.seed))
            for setting in experiment.settings
        })
        for one in planned([name], seeds)
        if one.experiment == name
    }  # fmt: skip


def test_a_claim_is_judged_by_the_mean_and_by_every_seed():
    errors = {
        'a': {seed: {'office': {'MEPE': value}} for seed, value in enumerate((5.0, 1.0, 9.0))},
        'b': {seed: {'office': {'MEPE': 4.0}} for seed in (0, 1, 2, 3)},
    }
    found = judge(Claim(worse='a', better='b', metric='MEPE'), errors)
    assert found == {
        'claim': 'MEPE, office: a > b', 'means': [5.0, 4.0], 'holds': True, 'seeds': 2, 'of': 3,
    }  # fmt: skip
    assert not judge(Claim(worse='b', better='a', metric='MEPE'), errors)['holds']
    assert judge(Claim(worse='a', better='b', metric='MEPE'), {**errors, 'b': {}})['holds'] is None
    nothing = {**errors, 'b': {0: {'office': {'MEPE': math.nan}}}}
    assert judge(Claim(worse='a', better='b', metric='MEPE'), nothing)['holds'] is False


def test_a_claim_can_compare_two_settings_of_one_variant():
    results = measured('sensors', lambda name, setting, seed: 10.0 + 5 * (setting == 'darkness'))
    claims = {one['claim']: one for one in make_report(results)['sensors']['claims']}
    assert claims['MEPE: rgb in darkness > rgb in office']['holds']
    assert claims['MEPE: rgb in darkness > rgb in office']['means'] == [15.0, 10.0]


def test_the_report_has_means_spreads_and_findings_of_what_was_measured():
    errors = {'none': 30.0, 'dense, as published': 25.0, 'dense': 20.0, 'sparse': 10.0}
    results = measured('kpe', lambda name, setting, seed: errors[name] + seed)
    del results[Run(experiment='kpe', variant='sparse', seed=2)]
    report = make_report(results)
    assert list(report) == ['kpe']
    assert held(report)
    text = markdown(report)
    assert '| none | 3 | 31.0 ± 0.8 | 31.0 ± 0.8 | 31.0 ± 0.8 |' in text
    assert '| sparse | 2 | 10.5 ± 0.5 |' in text
    assert '| MRRPE, office: none > sparse | holds | 30.5 > 10.5 | 2 of 2 |' in text
    worse = measured('kpe', lambda name, setting, seed: 30.0 - errors[name])
    assert not held(make_report(worse))
    assert '**does not hold**' in markdown(make_report(worse))


def test_a_finding_that_was_not_measured_does_not_hold():
    results = measured('kpe', lambda name, setting, seed: 1.0, seeds=[0])
    results = {one: value for one, value in results.items() if one.variant != 'dense'}
    report = make_report(results)
    assert '| MRRPE, office: none > dense | not measured | | |' in markdown(report)
    assert not held(report)
    assert not held({})


def test_tables_are_made_of_results_files_alone(tmp_path, capsys):
    errors = {'none': 30.0, 'dense, as published': 25.0, 'dense': 20.0, 'sparse': 10.0}
    results = measured('kpe', lambda name, setting, seed: errors[name])
    write_json(tmp_path / 'copied.json', list(results.values()))
    options = ['--output', str(tmp_path), '--json', str(tmp_path / 'report.json')]
    assert run.main(['--report', str(tmp_path / 'copied.json'), *options]) == 0
    assert json.loads((tmp_path / 'report.json').read_text())['kpe']['claims'][0]['holds']
    assert (tmp_path / 'report.md').read_text() in capsys.readouterr().out


def test_a_tiny_run_from_rendering_to_its_result(place, monkeypatch):
    dense = EXPERIMENTS['dense']
    config = json.loads(json.dumps(dense.config))
    config['network'] |= {'channels': 4, 'branch_channels': 4, 'vote_channels': 4, 'stacks': 1}
    config['steps'] = 1
    cut = Cut(frames=1, rate=(1.0, 2.0), parts=1, part=2, batch=2)
    variants = (
        Variant(name='dense'),
        Variant(name='single', of='dense', view='single'),
        Variant(name='longer', changes={'steps': 2}),
    )
    small = dataclasses.replace(dense, config=config, variants=variants, clips=2, cut=cut)
    monkeypatch.setitem(EXPERIMENTS, 'dense', small)
    runs = planned(['dense'], [0])
    for clips in Schedule(runs, (), place).renderings:
        assert measure.render(clips, place) > 0
    for one in runs:
        assert measure.execute(one, place)
    errors = {one.variant: found['errors'] for one, found in collect(place.output).items()}
    assert all(math.isfinite(one['office']['mean joint error']) for one in errors.values())
    late = dataclasses.replace(place, output=place.output / 'late', deadline=0.0)
    assert not measure.execute(runs[0], late)
    assert not collect(late.output)
