from mambino.generation.defaults import recommended_params
from mambino.generation.params import SamplingParams


def test_a_recommendation_is_applied_and_told() -> None:
    config = {
        "temperature": 0.6,
        "top_p": 0.95,
        "top_k": 20,
        "eos_token_id": [2, 11],
        "do_sample": True,
        "max_length": 9,
    }
    found = recommended_params(config, SamplingParams(seed=4, min_p=0.1))
    expected = SamplingParams(seed=4, min_p=0.1, temperature=0.6, top_p=0.95, top_k=20, stop_token_ids=(2, 11))
    assert found.params == expected
    assert found.applied == {"temperature": 0.6, "top_p": 0.95, "top_k": 20, "stop_token_ids": (2, 11)}
    assert found.refused == {}


def test_an_empty_recommendation_changes_nothing() -> None:
    found = recommended_params({})
    assert found.params == SamplingParams()
    assert found.applied == {}


def test_do_sample_false_is_greedy_whatever_the_temperature() -> None:
    found = recommended_params({"do_sample": False, "temperature": 0.7})
    assert found.params.temperature == 0.0
    assert found.applied == {"temperature": 0.0}


def test_a_single_end_id_and_every_field_are_taken() -> None:
    found = recommended_params({"eos_token_id": 2, "min_p": 0.05, "repetition_penalty": 1.1})
    assert found.params == SamplingParams(stop_token_ids=(2,), min_p=0.05, repetition_penalty=1.1)


def test_a_value_out_of_range_is_refused_and_told_and_the_rest_applied() -> None:
    found = recommended_params(
        {"top_p": 7.0, "top_k": "many", "temperature": "0.5", "eos_token_id": None, "min_p": 0.1}
    )
    assert found.params == SamplingParams(min_p=0.1)
    assert set(found.refused) == {"top_p", "top_k", "temperature"}
    assert "7.0" in found.refused["top_p"]
