from halo_daemon.config_keys import settings
from scripts.reference import PAGE, render_page


def test_the_reference_page_is_what_the_model_says():
    """A changed key or default comes with its regenerated page."""
    assert PAGE.read_text(encoding="utf-8") == render_page()


def test_the_reference_page_documents_every_key():
    """Each key has a row with its sentence."""
    page = render_page()

    missing = [s.key for s in settings() if f"| `{s.key}` |" not in page or s.sentence not in page]
    assert missing == []
