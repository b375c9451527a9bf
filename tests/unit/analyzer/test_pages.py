"""Pages of the web that come in place of those that do not."""

from hypothesis import given, settings, strategies as st

from halo_daemon.analyzer.rules.pages import Pages
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.testing.traces import TraceScript

_FETCHES = st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=9)
"""Sites that are asked one after the other, and whether the page came."""


@settings(max_examples=100, deadline=None)
@given(_FETCHES)
def test_the_next_page_of_another_site_makes_up_for_one_else_the_last_before(fetches):
    """A look at all pages from each failure gives the same."""
    script = TraceScript(1)
    for number, (site, came) in enumerate(fetches):
        arguments = {"url": f"https://site-{site}.example/{number}"}
        script.model(calls=[("fetch_page", arguments)])
        error = "" if came else "HTTP 404: not found"
        script.tool("fetch_page", arguments, result="A page." if came else "", error=error)
    view = TraceView(script.answer("Done.").build(), MinerSettings())
    pages = Pages(view)

    for failed, (site, came) in enumerate(fetches):
        if came:
            continue
        others = [n for n, (other, came) in enumerate(fetches) if came and other != site]
        expected = next((n for n in others if n > failed), others[-1] if others else None)
        found = pages.another(view.tool_calls[failed].span)
        assert found is (None if expected is None else view.tool_calls[expected].span)


def test_what_opens_no_pages_is_made_up_for_by_none():
    """A tool of another kind, and a page that is not named by an address."""
    script = TraceScript(1)
    for name, arguments in (("get_order", {"url": "https://a.example"}), ("fetch_page", {"n": 1})):
        script.model(calls=[(name, arguments)]).tool(name, arguments, error="HTTP 404: not found")
        script.model(calls=[(name, arguments)]).tool(name, {"url": "https://b.example"}, result="b")
    view = TraceView(script.answer("Done.").build(), MinerSettings())

    assert [Pages(view).another(call.span) for call in view.tool_calls[::2]] == [None, None]
