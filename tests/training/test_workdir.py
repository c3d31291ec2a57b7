from rawnet_jax.cli.main import main
from rawnet_jax.training.workdir import held


def test_two_trainings_do_not_share_a_folder(tiny_config, tmp_path, capsys):
    arguments = ["train", f"--config={tiny_config}", f"--workdir={tmp_path / 'run'}"]
    with held(tmp_path / "run"):
        assert main(arguments) == 2
    assert "another training is at work in it" in capsys.readouterr().err
    assert not (tmp_path / "run" / "config.json").exists()
    assert not list((tmp_path / "run").iterdir())
    with held(tmp_path / "run"):  # the hold ended with its block
        pass


def test_a_folder_that_cannot_be_made_is_one_line(tiny_config, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["train", f"--config={tiny_config}", f"--workdir={tmp_path / 'file' / 'run'}"]) == 2
    assert "must be a folder" in capsys.readouterr().err
