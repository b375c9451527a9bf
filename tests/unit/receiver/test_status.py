import pytest

from halo_daemon import errors
from halo_daemon.receiver.status import DEFECT, RETRY_DELAY_S, STATUSES, status_of


def _ingest_errors():
    return [
        cls
        for cls in vars(errors).values()
        if isinstance(cls, type)
        and issubclass(cls, errors.IngestError)
        and cls is not errors.IngestError
    ]


@pytest.mark.parametrize("cls", _ingest_errors(), ids=lambda cls: cls.__name__)
def test_every_ingest_error_has_its_answer(cls):
    """Each error is in the table, and its answer is retryable exactly when the error is."""
    assert STATUSES[cls].is_retryable == cls.retryable


@pytest.mark.parametrize("cls", _ingest_errors(), ids=lambda cls: cls.__name__)
def test_retryable_answers_are_503_and_unavailable_and_no_others_are(cls):
    """Senders retry 503 and UNAVAILABLE, so nothing else may be answered that way."""
    status = STATUSES[cls]

    assert (status.http == 503) == (status.grpc == 14) == status.is_retryable


def test_what_nobody_foresaw_is_a_defect():
    """An exception outside the table is answered as a defect of ours."""
    assert status_of(RuntimeError("x")) == DEFECT
    assert status_of(errors.IngestError("x")) == DEFECT


def test_a_subclass_is_answered_as_its_class():
    """A more exact error needs no row of its own."""

    class TornError(errors.DecodeError):
        pass

    assert status_of(TornError("x")) == STATUSES[errors.DecodeError]


def test_the_wait_fits_into_an_exporters_deadline():
    """Exporters give up at once when asked to wait longer than they have left."""
    assert 1 <= RETRY_DELAY_S <= 5
