# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # rawnet_jax from nothing
#
# Installs the package, makes a small corpus by code, trains a detector for a minute, evaluates
# it, scores and explains a recording, exports the detector, and takes **your own file**.
# About a minute of CPU time; no GPU, no account, no data of anybody.
#
# The corpus is made by code: **its figures say nothing about real attacks.** The detector in the
# box, of the last part, was trained on real speech; read where it fails before you rely on it.

# %%
import importlib.util

if importlib.util.find_spec("rawnet_jax") is None:
    # Of a checkout: the path of its folder, with [export,simulate] behind it.
    get_ipython().run_line_magic("pip", "install -q rawnet_jax[export,simulate]")

# %%
import base64
import os
import subprocess
import sys
from pathlib import Path

import rawnet_jax
from IPython.display import Audio, IFrame, Image, display

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # ONNX Runtime reads it when it is imported
QUICK = os.environ.get("RAWNET_JAX_NOTEBOOK", "") == "quick"  # for the test of this notebook
CLIPS, EPOCHS = (40, 1) if QUICK else (400, 12)


def command(*words):
    """Run a command of the package as a terminal would, and show what it says."""
    arguments = [sys.executable, "-m", "rawnet_jax", *map(str, words)]
    done = subprocess.run(arguments, capture_output=True, text=True)
    print(done.stdout + (done.stderr if done.returncode else ""))
    done.check_returncode()


# %% [markdown]
# ## A corpus
#
# Voices of a small synthesiser are the genuine speech; the same through simulated loudspeakers,
# rooms and microphones are the replays that the detector is to find.

# %%
command("demo-corpus", "--output", "demo", "--num-clips", CLIPS, "--overwrite", "--no-progress")
clips = sorted(Path("demo").rglob("*.wav"))
display(Audio(str(clips[0])))

# %% [markdown]
# ## Training
#
# A config is a Python file. Every setting can be changed on the command line, too:
# `--config.train.num_epochs=20`.

# %%
Path("demo_config.py").write_text(
    """
from rawnet_jax.config import Config
from rawnet_jax.models.registry import model_config


def get_config():
    config = Config(name="notebook")
    config.note = "The corpus is made by code; its figures say nothing about real attacks."
    config.data.corpus = "asvspoof2017"
    config.data.root = "demo"
    config.model = model_config("conv1d", bn_momentum=0.9)
    config.gate.speech = "energy"  # voices made by code are no speech to Silero
    return config
"""
)
epochs = f"--config.train.num_epochs={EPOCHS}"
command("train", "--config", "demo_config.py", "--workdir", "run", epochs)

# %% [markdown]
# ## Evaluation
#
# Threshold and calibration are found on dev trials, and the figures are of eval trials, which
# nothing else has seen.

# %%
command("evaluate", "--workdir", "run")
report = next(Path("run").rglob("report.html")).read_bytes()
display(IFrame(f"data:text/html;base64,{base64.b64encode(report).decode()}", "100%", 600))

# %% [markdown]
# ## Scores
#
# A score is higher the more bona fide a recording is. A result that ends a cell draws itself.

# %%
detector = rawnet_jax.load("run")
detector.score(str(clips[0]))

# %% [markdown]
# Many recordings at once:

# %%
for result in detector.score([str(clip) for clip in clips[-4:]], progress=False):
    print(result)

# %% [markdown]
# ## Why this score
#
# Which spans of time and bands of frequency moved it: blue toward bona fide, orange toward spoof.

# %%
fast = ["--spans", 4, "--bands", 2, "--max-gradients", 8] if QUICK else []
command("explain", "--workdir", "run", clips[0], "--output", "why", "--no-progress", *fast)
display(Image(next(Path("why").glob("*.png"))))

# %% [markdown]
# ## One file for other programs
#
# ONNX, for C++, C#, Java, JavaScript, Rust; it says in itself how it is to be used. The file is
# tried before it is written, and gives the same scores without JAX.

# %%
difference = detector.export("run/model.onnx")
print(f"off by {difference:.1e} from the network")
exported = rawnet_jax.load("run/model.onnx")
print(exported.score(str(clips[0])))

# %% [markdown]
# ## Your own file
#
# With the detector in the box, which was trained on real speech. Put the path of your recording
# below; in Colab, run the cell and choose a file. Its card says what it was trained on and where
# it fails:

# %%
command("presets", "general_1")

# %%
own = ""  # such as "call.wav"
if not own and "google.colab" in sys.modules:
    from google.colab import files

    own = next(iter(files.upload()), "")
own = own or str(clips[0])  # nothing was chosen: a clip made by code, which it need not know
rawnet_jax.load("general_1").score(own)
