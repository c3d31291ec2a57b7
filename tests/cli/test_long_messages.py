"""Errors that repeat what a user or a file gives, which may have any length."""

from rawnet_jax.cli.main import main


def test_a_message_of_any_length_is_shortened(tiny_config, tmp_path, capsys):
    config = f"{tmp_path}/{'a' * 70_000}.py"
    assert main(["check", f"--config={tiny_config}", f"--config.data.{'a' * 70_000}=1"]) == 2
    said = capsys.readouterr().err
    assert len(said) < 1_700
    assert " characters … aaa" in said
    assert main(["check", f"--config={config}"]) == 2
    assert len(capsys.readouterr().err) < 1_700


def test_two_dashes_are_no_value(capsys):
    assert main(["evaluate", "--scores", "a.txt", "--level=--"]) == 2
    assert capsys.readouterr().err == "error: --level=--: -- is not a value\n"
