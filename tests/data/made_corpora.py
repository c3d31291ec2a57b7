"""Small corpora in the layouts of published ones, with the quirks that these have."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

Counts = Mapping[str, tuple[int, int]]

RATE = 16_000
_NOISE = np.random.default_rng(3).uniform(-0.4, 0.4, RATE // 8)


def audio(root: Path, *names: str) -> None:
    """Write recordings of 0.1 s, each another."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = {".mp3": "MP3", ".flac": "FLAC"}.get(path.suffix, "WAV")
        shift = sum(name.encode()) % 997
        soundfile.write(path, np.roll(_NOISE, shift)[: RATE // 10], RATE, format=kind)


def text(root: Path, name: str, lines: str, encoding: str = "utf-8", end: str = "\n") -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lines.replace("\n", end).encode(encoding))


def _mlaad(root: Path) -> Counts:
    header = "path|original_file|language|is_original_language|duration|training_data|model_name|"
    header += "architecture|transcript\n"
    for language, model in (("en", "tts_models_en_ljspeech_vits"), ("de", "Edge-TTS (new)")):
        folder = f"fake/{language}/{model}"
        rows = [
            f"./{folder}/a.wav|en_US/x.wav|{language}|True|1.2|lj|My Model|VITS|plain words",
            # a quote that is text, a pipe in quotes, quotes that are doubled, another folder
            f'{folder}/b.wav|en_US/y.wav|{language}|True|1.2|lj|My Model|VITS|he said "hello',
            f'b2.wav|en_US/y.wav|{language}|True|1.2|lj|My Model|VITS|"a | b ""c"""',
            f"fake/{language}/moved/c.wav|en_US/z.wav|{language}|False|1.2|lj|My Model|VITS|x",
        ]
        text(root, f"{folder}/meta.csv", header + "\n".join(rows) + "\n", "utf-8-sig", "\r\n")
        audio(root, *(f"{folder}/{name}.wav" for name in ("a", "b", "b2", "c")))
    book = "en_US/by_book/female/judy/dorrit/wavs"
    audio(root, *(f"M-AILABS/{book}/f{i}.wav" for i in range(3)))
    audio(root, *(f"M-AILABS/de_DE/by_book/male/karl/b/wavs/f{i}.wav" for i in range(3)))
    return {"train": (6, 8), "eval": (6, 8)}


def _wavefake(root: Path) -> Counts:
    names = [f"LJ001-000{i}" for i in range(3)]
    audio(root, *(f"generated_audio/ljspeech_melgan/{name}_gen.wav" for name in names))
    audio(root, *(f"generated_audio/jsut_multi_band_melgan/{i}_gen.wav" for i in range(2)))
    folder = "common_voices_prompts_from_conformer_fastspeech2_pwg_ljspeech"
    audio(root, f"generated_audio/{folder}/gen_0.wav")
    audio(root, *(f"LJSpeech-1.1/wavs/{name}.wav" for name in names))
    audio(root, *(f"jsut_ver1.1/basic5000/wav/BASIC5000_000{i}.wav" for i in range(3)))
    return {"train": (6, 6), "eval": (6, 6)}


def _fake_or_real(root: Path) -> Counts:
    for folder in ("training", "validation", "testing"):
        for key in ("fake", "real"):
            ending = "wav_16k.wav_norm.wav_mono.wav_silence.wav"
            audio(root, *(f"for-norm/{folder}/{key}/file{i}.{ending}" for i in (1, 2)))
    return dict.fromkeys(("train", "dev", "eval"), (2, 2))


def _add2022(root: Path) -> Counts:
    for part in ("train", "dev"):
        lines = "".join(
            f"ADD_{part[0].upper()}_0000000{i}.wav {'genuine' if i % 2 else 'fake'}\n"
            for i in range(4)
        )
        text(root, f"ADD_train_dev/label/{part}_label.txt", lines, end="\r\n")
        audio(root, *(f"ADD_train_dev/{part}/{line.split()[0]}" for line in lines.splitlines()))
    for track in ("track1test", "track3test"):
        text(root, f"{track}/label.txt", "ADD_E_1.wav genuine\nADD_E_2.wav fake\n")
        audio(root, f"{track}/wav/ADD_E_1.wav", f"{track}/wav/ADD_E_2.wav")
    return {"train": (2, 2), "dev": (2, 2), "eval": (2, 2)}


def _add2023(root: Path) -> Counts:
    for folder, name in (("train", "T"), ("dev", "D"), ("testR1", "R1_E"), ("testR2", "R2_E")):
        lines = f"ADD2023_T1.2{name}_1.wav genuine\nADD2023_T1.2{name}_2.wav fake\n"
        text(root, f"Track1.2/{folder}/label.txt", lines)
        audio(root, *(f"Track1.2/{folder}/wav/ADD2023_T1.2{name}_{i}.wav" for i in (1, 2)))
    return {"train": (1, 1), "dev": (1, 1), "eval": (2, 2)}


def _partly_fake(folder: str, name: str, audio_folder: str) -> Callable[[Path], Counts]:
    """Return what writes HAD, or track 2 of ADD 2023."""

    def write(root: Path) -> Counts:
        for part in ("train", "dev", "test"):
            real, fake = (f"{name.format(part)}_{part}_{i}" for i in range(2))
            rows = f"{real} 0.00-0.10-T 1\n{fake} 0.00-0.03-T/0.03-0.08-F/0.08-0.10-T 0\n"
            place = folder.format(part)
            label = f"{place}_label.txt" if name.startswith("HAD") else "label.txt"
            text(root, f"{place}/{label}", rows, end="\r\n")
            audio(root, *(f"{place}/{audio_folder}/{one}.wav" for one in (real, fake)))
        return dict.fromkeys(("train", "dev", "eval"), (1, 1))

    return write


def _codecfake(root: Path) -> Counts:
    def part(name: str, folder: str, letter: str) -> None:
        rows = [f"{letter}{i}.wav real 0\nF01_{letter}{i}.wav fake 1\n" for i in range(2)]
        text(root, f"label/{name}.txt", "".join(rows))
        for i in range(2):
            audio(root, f"{folder}/{letter}{i}.wav", f"{folder}/F01_{letter}{i}.wav")

    part("train", "train", "T")
    part("dev", "dev", "D")
    part("C1", "test/C1", "E")  # the same names in both
    part("C2", "test/C2", "E")
    return {"train": (2, 2), "dev": (2, 2), "eval": (4, 4)}


def _codecfake_vctk(root: Path) -> Counts:
    for speaker in ("p272", "p225"):
        audio(root, f"processed/encodec_24khz+{speaker}_103.wav")
        audio(root, f"SpeechTokenizer/{speaker}_104.wav")
        audio(root, f"VCTK-Corpus-0.92/wav48_silence_trimmed/{speaker}/{speaker}_103_mic1.flac")
    return {"train": (2, 4), "eval": (2, 4)}


def _cfad(root: Path) -> Counts:
    for version in ("clean", "noise"):
        top = f"{'noisy' if version == 'noise' else version}_version"
        for part in ("train", "dev", "test_seen", "test_unseen"):
            folder = f"{top}/{part}_{version}"
            audio(root, f"{folder}/real_{version}/aishell1/BAC009S0002W0122.wav")
            audio(root, f"{folder}/fake_{version}/hifigan/SSB09660003_hifigan.wav")
    return {"train": (2, 2), "dev": (2, 2), "eval": (4, 4)}


def _partialspoof(root: Path) -> Counts:
    for part in ("train", "dev", "eval"):
        letter = part[0].upper()
        rows = [f"LA_0079 LA_{letter}_{i} - - bonafide\n" for i in range(2)]
        rows += [f"LA_0080 CON_{letter}_{i} - CON spoof\n" for i in range(2)]
        folder = "protocols/PartialSpoof_LA_cm_protocols"
        text(root, f"database/{folder}/PartialSpoof.LA.cm.{part}.trl.txt", "".join(rows))
        names = [row.split()[1] for row in rows]
        audio(root, *(f"database/{part}/con_wav/{name}.wav" for name in names))
        labels = {
            name: np.array(list("11111" if name.startswith("LA") else "11001")) for name in names
        }
        path = root / f"database/segment_labels_v1.2/{part}_seglab_0.02.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.array(labels, dtype=object), allow_pickle=True)
    return dict.fromkeys(("train", "dev", "eval"), (2, 2))


def _ctrsvdd(root: Path) -> Counts:
    for name, folder in (("train", "train"), ("dev", "dev"), ("eval", "test")):
        letter = name[0].upper()
        rows = (
            f"m4singer CtrSVDD_0110 CtrSVDD_0110_{letter}_1 - - bonafide\n"
            f"jvsmusic CtrSVDD_0097 CtrSVDD_0097_{letter}_2 - A06 deepfake\n"
        )
        text(root, f"{folder}.txt", rows)
        audio(root, f"{folder}_set/CtrSVDD_0110_{letter}_1.flac")
        audio(root, f"{folder}_set/CtrSVDD_0097_{letter}_2.flac")
    return dict.fromkeys(("train", "dev", "eval"), (1, 1))


def _spoofceleb(root: Path) -> Counts:
    for folder in ("train", "development", "evaluation"):
        names = [f"a0{i}/id1031{j}/YYs-00002-006.flac" for i in (0, 6) for j in (8, 9)]
        rows = [f"{name},{name.split('/')[1]},{name[:3]}\n" for name in names]
        text(root, f"spoofceleb/metadata/{folder}.csv", "file,speaker,attack\n" + "".join(rows))
        audio(root, *(f"spoofceleb/flac/{folder}/{name}" for name in names))
    return dict.fromkeys(("train", "dev", "eval"), (2, 2))


def _deepfake_eval_2024(root: Path) -> Counts:
    rows = ["Filename,Date,Ground Truth,Public Comments,Finetuning Set,Language"]
    for part in ("Train", "Test"):
        for key in ("Real", "Fake"):
            for i in range(2):
                comment = '"one, two\nand ""more"""' if i else ""  # a comment of two lines
                name = f"{part}_{key}_{i}.{'mp3' if i else 'wav'}"
                rows.append(f"{name},2024-04-23,{key},{comment},{part},en")
                audio(root, f"audio-data/{name}")
    rows.append("odd.wav,2024-04-23,Unknown,,Test,en")
    audio(root, "audio-data/odd.wav")
    text(root, "audio-metadata-publish.csv", "\n".join(rows) + "\n", "utf-8-sig", "\r\n")
    return {"train": (2, 2), "eval": (2, 2)}


def _diffssd(root: Path) -> Counts:
    rows = ["filename,method_name,category,source,set,target"]
    for part in ("train", "val", "test"):
        for speaker in ("speaker_1", "speaker_2"):  # one file name in every folder
            name = f"generated_speech/your_tts_{part}/{speaker}/sentence_1.wav"
            rows.append(f"{name},your_tts,zero-shot,openslr,{part},1")
            real = f"real_speech/librispeech/dev-clean/{part}/{speaker}/x.flac"
            rows.append(f"/data/of/somebody/{real},real,real,librispeech,{part},0")
            audio(root, name, real)
    text(root, "train_val_test_splits.csv", "\n".join(rows))
    return dict.fromkeys(("train", "dev", "eval"), (2, 2))


def _replaydf(root: Path) -> Counts:
    for uid in ("09252b6aeda2", "1f"):
        audio(root, f"wav/{uid}/benign/de/x.wav", f"wav/{uid}/spoof/bark/de/x.wav")
        text(root, f"aux/{uid}/meta.csv", "path|language\n")
    return {"train": (2, 2), "eval": (2, 2)}


def _dfadd(root: Path) -> Counts:
    for folder in ("train", "valid", "test"):
        audio(root, f"DATASET_VCTK_BONAFIDE/{folder}/p227_1.wav")
        audio(root, f"DATASET_GradTTS/{folder}/p227_164_GradTTS.wav")
        audio(root, f"DATASET_MatchaTTS/{folder}/p228_1_Matcha.wav")
    return dict.fromkeys(("train", "dev", "eval"), (1, 2))


def _sonar(root: Path) -> Counts:
    audio(root, *(f"SONAR_dataset/real_samples/s{i}.wav" for i in range(2)))
    audio(root, "SONAR_dataset/VALLE/a 1.wav", "SONAR_dataset/OpenAI/a 1.wav")
    return {"train": (2, 2), "eval": (2, 2)}


def _df_arena(root: Path) -> Counts:
    for name in ("dfadd", "sonar"):
        rows = ["file_name,label"]
        for key in ("spoof", "bonafide"):
            rows.append(f"/gpfs/of/somebody/{name}/{key}/one.wav,{key}")  # no such folder here
            audio(root, f"{name}/{key}/one.wav")
        text(root, f"protocol_files/{name}.csv", "\n".join(rows) + "\n")
    return {"eval": (2, 2)}


def _fmfcc_a(root: Path) -> Counts:
    rows = "20000001.wav,0,A01\n20000002.wav,0,A02_MP3\n20040001.wav,1,N01\n20040002.wav,1,N01_AAC"
    text(root, "AllUtteranceInfo.txt", rows, end="\r\n")
    audio(root, *(f"part{i % 2}/{row.split(',')[0]}" for i, row in enumerate(rows.split("\n"))))
    return {"train": (2, 2), "eval": (2, 2)}


def _cvoicefake(root: Path) -> Counts:
    for language in ("EN", "zh-CN"):
        audio(root, f"CVoiceFake_Large/{language}/Bonafide/common_voice_1.mp3")
        folder = "vctk_parallel_wavegan.v1_generated"
        audio(root, f"CVoiceFake_Large/{language}/{folder}/common_voice_1_Gen.mp3")
    return {"train": (2, 2), "eval": (2, 2)}


def _llamapartialspoof(root: Path) -> Counts:
    for part in "ab":
        rows = (
            f"dev-clean_1462_1701_{part} 0.1000 bonafide 0.0000-0.1000-bonafide\n"
            f"TTS001_1462_{part} 0.1000 spoof 0.0000-0.0400-bonafide 0.0400-0.0600-spoof "
            "0.0600-0.1000-bonafide\n"
        )
        text(root, f"label_R01TTS.0.{part}.txt", rows)
        folder = f"R01TTS.0.{part}"
        audio(root, f"{folder}/dev-clean_1462_1701_{part}.wav", f"{folder}/TTS001_1462_{part}.wav")
    return {"train": (2, 2), "eval": (2, 2)}


@dataclass(frozen=True)
class Made:
    """A corpus that is made here.

    Attributes:
        write: writes it and returns bona fide and spoof trials by partition.
        kept: metadata that some trial of eval has.
        attack: of some trial of eval.
    """

    write: Callable[[Path], Counts]
    kept: Mapping[str, str]
    attack: str | None


MADE: Mapping[str, Made] = {
    "mlaad": Made(_mlaad, {"language": "de", "architecture": "VITS"}, "My_Model"),
    "wavefake": Made(_wavefake, {"language": "ja"}, "ljspeech_melgan"),
    "fake_or_real": Made(_fake_or_real, {"subset": "for-norm"}, None),
    "add2022": Made(_add2022, {"subset": "track3test"}, None),
    "add2023": Made(_add2023, {"subset": "testR1"}, None),
    "add2023_rl": Made(
        _partly_fake("ADD2023_Track2_{}", "ADD2023_T2", "wav"),
        {"segments": "0-0.03-bonafide 0.03-0.08-spoof 0.08-0.1-bonafide"},
        None,
    ),
    "had": Made(_partly_fake("HAD_{}", "HAD_{}", "conbine"), {"segments": "0-0.1-bonafide"}, None),
    "codecfake": Made(_codecfake, {"subset": "C2"}, "F01"),
    "codecfake_vctk": Made(_codecfake_vctk, {}, "encodec_24khz"),
    "cfad": Made(_cfad, {"subset": "noisy", "seen": "unseen"}, "hifigan"),
    "partialspoof": Made(
        _partialspoof,
        {"segments": "0-0.04-bonafide 0.04-0.08-spoof 0.08-0.1-bonafide"},
        "CON",
    ),
    "ctrsvdd": Made(_ctrsvdd, {"source_corpus": "jvsmusic"}, "A06"),
    "spoofceleb": Made(_spoofceleb, {}, "a06"),
    "deepfake_eval_2024": Made(_deepfake_eval_2024, {"language": "en"}, None),
    "diffssd": Made(_diffssd, {"category": "zero-shot"}, "your_tts"),
    "replaydf": Made(_replaydf, {"device": "1f", "language": "de"}, "bark"),
    "dfadd": Made(_dfadd, {}, "GradTTS"),
    "sonar": Made(_sonar, {}, "VALLE"),
    "df_arena": Made(_df_arena, {"subset": "sonar"}, None),
    "fmfcc_a": Made(_fmfcc_a, {"codec": "MP3"}, "A02"),
    "cvoicefake": Made(_cvoicefake, {"language": "zh"}, "vctk_parallel_wavegan.v1"),
    "llamapartialspoof": Made(_llamapartialspoof, {"segments": "0.0000-0.1000-bonafide"}, "TTS001"),
}
