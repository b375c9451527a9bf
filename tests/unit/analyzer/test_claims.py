import pytest
from hypothesis import given, strategies as st

from halo_daemon.analyzer.rules.claims import DONE, claims_in
from tests.unit.analyzer.analysis import observed
from tests.unit.analyzer.test_detectors import told

CLAIMS = [
    ("I have booked the table.", "booked"),
    ("I’ve sent it.", "sent"),
    ("No, I have already sent it.", "sent"),
    ("After a look at it, I have cancelled the order.", "cancelled"),
    ("Ich habe den Tisch für zwei Personen gebucht.", "booked"),
    ("Gern! Jetzt habe ich die Mail an Frau Weiß verschickt.", "sent"),
    ("Ihre Bestellung wurde storniert.", "cancelled"),
    ("J'ai envoyé le message.", "sent"),
    ("J’ai bien réservé la table.", "booked"),
    ("Votre commande a été annulée.", "cancelled"),
    ("He enviado el mensaje.", "sent"),
    ("¡Listo! Ya te he reservado la mesa.", "booked"),
    ("Los pedidos han sido cancelados.", "cancelled"),
]
NO_CLAIMS = [
    "I have not booked the table.",
    "I don't think I have sent it.",
    "If I have booked it, you will see it.",
    "Once your order has been cancelled, you get a mail.",
    "Have you seen that I have sent it?",
    "I can book it. Shall I?",
    "Ich habe den Tisch nicht gebucht.",
    "Ich habe keine Mail verschickt.",
    "Wenn die Bestellung storniert wurde, melde ich mich.",
    "Sobald ich habe, was fehlt, wird gebucht.",
    "Je n'ai pas envoyé le message.",
    "Votre commande n'a pas été annulée.",
    "Dès que la commande a été annulée, vous recevez un message.",
    "No he enviado el mensaje.",
    "Cuando han sido cancelados, recibe un correo.",
    "Voy a reservar la mesa.",
    "he reserved the table",
]


@pytest.mark.parametrize(("text", "verb"), CLAIMS)
def test_a_deed_is_understood(text, verb):
    """A finished deed is a claim in each of the languages."""
    assert [found for found, _ in claims_in(text)] == [verb]


@pytest.mark.parametrize("text", NO_CLAIMS)
def test_what_is_denied_open_or_asked_is_no_claim(text):
    """Negations, conditions, questions and offers claim nothing."""
    assert list(claims_in(text)) == []


@given(st.text(alphabet="Ich habe nigtwurdj'éàsoH.?\n", max_size=300))
def test_any_text_can_be_read(text):
    """Claims name known deeds and begin within the text, whatever it is."""
    assert all(verb in DONE and 0 <= at < len(text) for verb, at in claims_in(text))


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("Ich habe den Tisch gebucht.", True),
        ("J'ai réservé la table.", True),
        ("He reservado la mesa.", True),
        ("Ich habe den Tisch noch nicht gebucht.", False),
    ],
)
def test_a_claim_in_another_language_is_held_against_the_calls(text, is_found):
    """It is found after a call that failed, and not after one that worked."""
    failed = told(text, ("book_table", {"n": 2}, "!no table is free"))
    worked = told(text, ("book_table", {"n": 2}, "ok"))

    assert is_found == any(rule == "claimed_not_done" for rule, _ in observed(failed))
    assert not any(rule == "claimed_not_done" for rule, _ in observed(worked))
