"""KerasTuner's own service, so that workers written with KerasTuner alone can join a search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer
from keras_tuner.src.engine.hyperparameters import HyperParameters

from tuning.distributed.search_service import SearchService
from tuning.scheduler import LocalScheduler
from tuning.trials.job import Progress


def add_service(server: grpc.Server, scheduler: LocalScheduler, search: SearchService) -> None:
    """Add KerasTuner's `OracleServicer` to a server that is not started yet.

    An error ends the call, not the chief. Every call counts as a sign of life. KerasTuner's workers
    send no others, so that a lease has to be longer than their epochs.

    Args:
        server: of the chief.
        scheduler: of the search.
        search: the service beside it; it takes failures and signs of life.
    """
    servicer = OracleServicer(scheduler.oracle)
    service = protos.get_service().DESCRIPTOR.services_by_name["Oracle"]
    for method in service.methods:
        answer = _guarded(getattr(servicer, method.name), scheduler, search)
        setattr(servicer, method.name, answer)
    protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)


def _guarded(
    method: Callable[[Any, Any], Any], scheduler: LocalScheduler, search: SearchService
) -> Callable[[Any, Any], Any]:
    def answer(request: Any, context: Any) -> Any:
        try:
            if isinstance(request, protos.get_service().UpdateSpaceRequest):
                _require_known(request, scheduler)
            found = method(request, context)
            _note(request, found, scheduler, search)
            return found
        except OSError as error:
            search.fail(error, context)
        except KeyError as error:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no trial {error}")
        except (ValueError, TypeError, RuntimeError) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))

    return answer


def _require_known(request: Any, scheduler: LocalScheduler) -> None:
    """Raise ValueError if a worker asks for hyperparameters that the search does not have."""
    known = {each.name for each in scheduler.oracle.get_space().space}
    asked = HyperParameters.from_proto(request.hyperparameters).space
    more = sorted({each.name for each in asked} - known)
    if more:
        raise ValueError(f"not of this search's space, which is settled: {', '.join(more)}")


def _note(request: Any, answer: Any, scheduler: LocalScheduler, search: SearchService) -> None:
    """Take a call as a sign of life of its worker, if it names one."""
    messages = protos.get_service()
    if isinstance(request, messages.CreateTrialRequest):
        search.hear(request.tuner_id)
        if answer.trial.status == protos.get_proto().STOPPED:
            search.told.add(request.tuner_id)
        elif answer.trial.trial_id:
            scheduler.beat(request.tuner_id, answer.trial.trial_id, Progress())
    elif isinstance(request, messages.UpdateTrialRequest):
        owner = scheduler.oracle.owner(request.trial_id)
        if owner is not None:
            score = request.metrics.get(scheduler.settings.objective)
            scheduler.beat(owner, request.trial_id, Progress(int(request.step), score=score))
