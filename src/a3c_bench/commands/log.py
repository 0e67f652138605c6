"""`a3c-bench log`."""

from a3c_bench.cli import prepare


def run() -> None:
    """Log to MLflow what the last `dvc repro` skipped, from its files, and say what the pipeline gave."""
    config = prepare()
    from a3c_bench import skipped
    from a3c_bench.errors import BadInputError, describe_error, say
    from a3c_bench.evidence.reproducibility import verify
    from a3c_bench.progress import conclude
    from a3c_bench.stages import report

    try:
        logged = skipped.log(config)
    except BadInputError:
        raise
    except Exception as error:  # MLflow's or DVC's own: it costs runs, not results
        logged = 0
        say(f"MLflow may not have all that was skipped ({describe_error(error)}); the files are complete")
    compared = verify.beside_commit(config)
    same = sum(output.same for output in compared)
    told = []
    if logged:
        told.append(f"stages that were skipped and are in MLflow now, from their files: {logged}")
    if compared:
        told.append(f"bits: {same} of {len(compared)} files of trainings and evaluations are the commit's")
    if same < len(compared):
        told[-1] += "; `git diff` shows what was changed, and if nothing was, `make verify` names the first difference"
    told.append(f"the report: {report.PAGE}")
    conclude("log", "\n".join(told), logged=logged, same=same, compared=len(compared), page=str(report.PAGE))
